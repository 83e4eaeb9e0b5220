//! Damaged files: whatever bytes come in, a reader gives an error that names the file, quickly, and
//! without memory that the file does not account for. `SCONCE_MUTATIONS` sets how many of each.
#![allow(clippy::unwrap_used, clippy::panic)]

use sconce_core::{Device, Error};
use sconce_saving::{KerasArchive, ModelFile, NamedTensors, SafetensorsFile, network};
use std::io::{Cursor, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// SplitMix64 (Steele, Lea, Flood, 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

/// Numbers that lengths, offsets and counts do not expect.
const EXTREMES: [u64; 12] = [
    0,
    1,
    7,
    0x7f,
    0xff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    1 << 40,
    i64::MAX as u64,
    u64::MAX - 8,
    u64::MAX,
];

fn mutate(original: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = original.to_vec();
    for _ in 0..1 + random.below(4) {
        let (at, len) = (random.below(bytes.len()), bytes.len());
        match random.below(8) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.next() as u8,
            2 | 3 => {
                let width = [1, 2, 4, 8][random.below(4)];
                let value = EXTREMES[random.below(EXTREMES.len())].to_le_bytes();
                // Fields of these formats lie mostly on even places.
                let at = if random.below(3) > 0 { at & !(width - 1) } else { at };
                let end = (at + width).min(len);
                bytes[at..end].copy_from_slice(&value[..end - at]);
            }
            4 => bytes.truncate(at.max(1)),
            5 => {
                let end = (at + random.below(64)).min(len);
                bytes.drain(at..end.min(len - 1).max(at));
            }
            6 => {
                let end = (at + random.below(64)).min(len);
                let copy = bytes[at..end].to_vec();
                let to = random.below(len);
                bytes.splice(to..to, copy);
            }
            _ => {
                let end = (at + random.below(32)).min(len);
                let to = random.below(len);
                let copy = bytes[at..end].to_vec();
                let room = copy.len().min(len - to);
                bytes[to..to + room].copy_from_slice(&copy[..room]);
            }
        }
    }
    bytes
}

/// The most address space the process ever had, in bytes; where it can be told.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:"))?;
    Some(line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok()? << 10)
}

/// Set by a panic, also by one that a reader catches as its last resort.
static PANICKED: AtomicBool = AtomicBool::new(false);

fn check(what: &str, original: &[u8], read: impl Fn(Vec<u8>) -> Result<(), Error>) {
    read(original.to_vec()).unwrap();
    let count = std::env::var("SCONCE_MUTATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(1500);
    let (mut random, mut refused) = (Random(1), 0);
    for i in 0..count {
        let bytes = mutate(original, &mut random);
        let started = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(|| read(bytes.clone())));
        if PANICKED.swap(false, Ordering::Relaxed) {
            let kept = std::env::temp_dir().join(format!("sconce-panic-{what}-{i}"));
            std::fs::write(&kept, &bytes).unwrap();
            panic!("{what}, mutation {i}: the reader panics; its input is {}", kept.display());
        }
        match result.unwrap() {
            Ok(()) => {}
            Err(Error::File { path, message }) => {
                assert!(path == Path::new("damaged") && !message.is_empty());
                refused += 1;
            }
            Err(other) => panic!("{what}, mutation {i}: not an error of a file: {other:?}"),
        }
        assert!(started.elapsed() < Duration::from_secs(10), "{what}, mutation {i}: slow");
    }
    assert!(refused > count / 20, "{what}: only {refused} of {count} are refused");
}

fn golden(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/saving");
    std::fs::read(folder.join(name)).unwrap()
}

fn weights_of(archive: &[u8]) -> Vec<u8> {
    let mut zip = zip::ZipArchive::new(Cursor::new(archive)).unwrap();
    let mut bytes = Vec::new();
    zip.by_name("model.weights.h5").unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

/// One test, so that the peak of memory is that of the readers.
#[test]
fn damaged_files_are_refused() {
    let archive = |bytes: Vec<u8>| KerasArchive::from_bytes(&bytes, "damaged").map(drop);
    let weights = |bytes: Vec<u8>| NamedTensors::from_h5_bytes(bytes, "damaged").map(drop);
    let safetensors = |bytes: Vec<u8>| SafetensorsFile::from_bytes(&bytes, "damaged").map(drop);
    // As far as the network: what a file says of layers and weights has to fit together.
    let model = |bytes: Vec<u8>| {
        let file = ModelFile::from_bytes(bytes, "damaged")?;
        network::from_file(&file, file.compile_config.as_ref(), Path::new("damaged"), &Device::Cpu)
            .map(drop)
    };
    let before = peak();
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PANICKED.store(true, Ordering::Relaxed);
        print(info);
    }));

    let theirs = golden("float32.keras");
    let read = KerasArchive::from_bytes(&theirs, "").unwrap();
    let ours = read.to_bytes().unwrap();
    let file = SafetensorsFile::new(read.weights).to_bytes().unwrap();
    check("keras archive", &theirs, archive);
    check("our archive", &ours, archive);
    check("keras weights", &weights_of(&theirs), weights);
    check("our weights", &weights_of(&ours), weights);
    check("h5py types", &golden("types.h5"), weights);
    check("safetensors", &file, safetensors);
    let old = [
        "functions.h5",
        "keras_1.h5",
        "keras_1_merge.h5",
        "keras_2_0.h5",
        "nested.h5",
        "sequence_to_sequence.h5",
    ];
    for name in old {
        check(name, &golden(&format!("../old_files/{name}")), model);
    }

    if let (Some(before), Some(after)) = (before, peak()) {
        let grown = (after - before) >> 20;
        assert!(grown < 2048, "readers of small files took {grown} MiB");
    }
}
