//! Mutated files: thousands of damaged .npy and .csv files are read without a panic, in little
//! memory, and whatever is read still fits into what the file held. Seeded, so a failure repeats.

use sconce_core::Stream;
use sconce_data::{CsvColumns, csv_file::read_csv_bytes, npy::read_npy_bytes};

/// Damages a file in one to four ways.
fn mutate(file: &mut Vec<u8>, random: &mut Stream) {
    for _ in 0..=random.below(4) {
        if file.is_empty() {
            return;
        }
        // Mostly near the start, where the header is.
        let reach = if random.below(4) == 0 { file.len() } else { file.len().min(140) };
        let at = random.below(reach as u64) as usize;
        match random.below(8) {
            0 => file[at] = random.next_u32() as u8,
            1 => file[at] ^= 1 << random.below(8),
            2 => file.truncate(at),
            3 => file.insert(at, b"9,(['\"\n{"[random.below(8) as usize]),
            4 => drop(file.remove(at)),
            5 => {
                let end = (at + random.below(60) as usize).min(file.len());
                let part = file[at..end].to_vec();
                file.splice(at..at, part);
            }
            6 => {
                let many = [b'9', b'(', b'[', b',', b'"', 0xff][random.below(6) as usize];
                file.splice(at..at, std::iter::repeat_n(many, random.below(300) as usize));
            }
            _ => {
                // The next number of the text grows.
                if let Some(digit) = file[at..].iter().position(u8::is_ascii_digit) {
                    file.splice(at + digit..at + digit, *b"99999999");
                }
            }
        }
    }
}

/// The largest memory this process has held, where the system says.
fn peak_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix("kB"));
    kilobytes.and_then(|text| text.trim().parse::<usize>().ok()).unwrap_or(0) * 1024
}

#[test]
fn damaged_npy_files() {
    let golden: serde_json::Value = serde_json::from_str(include_str!("golden/npy.json")).unwrap();
    let files: Vec<Vec<u8>> = golden
        .as_object()
        .unwrap()
        .values()
        .map(|case| {
            let text = case["bytes"].as_str().unwrap();
            let byte = |i| u8::from_str_radix(&text[i..i + 2], 16).unwrap();
            (0..text.len()).step_by(2).map(byte).collect()
        })
        .collect();
    let mut random = Stream::named(1, "damaged npy");
    let (before, mut read) = (peak_bytes(), 0);
    for round in 0..6000 {
        let mut file = files[round % files.len()].clone();
        mutate(&mut file, &mut random);
        match read_npy_bytes(&file) {
            // An i1 element of one byte becomes an i64 of eight.
            Ok(tensor) => {
                assert!(tensor.elem_count() <= file.len());
                read += 1;
            }
            Err(error) => assert!(error.to_string().len() < 1000, "{error}"),
        }
    }
    assert!(read > 100, "only {read} were still readable: the mutations are too coarse");
    let grown = peak_bytes() - before;
    assert!(grown < 64 << 20, "memory grew by {grown} bytes");
}

#[test]
fn damaged_csv_files() {
    let numbers = "a,b,y\n1,2.5,0\n-3e4, 7,1\n0.125,\"8\",1\n";
    let classes = "kind,width\nsetosa,1.5\n\"b, c\",2\nsetosa,3\n";
    let mut random = Stream::named(1, "damaged csv");
    let (before, mut read) = (peak_bytes(), 0);
    for round in 0..6000 {
        let (text, target) = if round % 2 == 0 { (numbers, "y") } else { (classes, "kind") };
        let mut file = text.as_bytes().to_vec();
        mutate(&mut file, &mut random);
        match read_csv_bytes(&file, &CsvColumns::new(target)) {
            Ok(data) => {
                assert!(data.x.elem_count() + data.y.elem_count() <= file.len());
                assert_eq!(data.x.dim(0).unwrap(), data.y.dim(0).unwrap());
                assert_eq!(data.x.dim(1).unwrap(), data.feature_names.len());
                sconce_data::check::finite("x", &data.x).unwrap();
                read += 1;
            }
            Err(error) => assert!(error.to_string().len() < 5000, "{error}"),
        }
    }
    assert!(read > 100, "only {read} were still readable: the mutations are too coarse");
    let grown = peak_bytes() - before;
    assert!(grown < 64 << 20, "memory grew by {grown} bytes");
}
