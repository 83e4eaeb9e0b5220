//! What every source promises, and each of them against arrays in memory.

use super::*;
use crate::spec::{Arrays, Files};
use crate::{BatchPlan, CsvColumns, CsvTarget, Dataset, Shuffle, ToTensor, write_npy};
use proptest::prelude::*;
use sconce_core::{DType, Device, Stream, Tensor};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// A batch as plain numbers: the values of every array, one after the other.
fn numbers(batch: &Batch) -> Vec<Vec<f64>> {
    let arrays = batch.x.iter().chain(&batch.y).chain(batch.sample_weight.iter().flatten());
    arrays
        .map(|a| a.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap())
        .collect()
}

fn batches(source: &dyn BatchSource, epoch: usize, from: usize) -> Vec<Vec<Vec<f64>>> {
    let batches = source.checked_batches(epoch, from).unwrap();
    batches.map(|batch| numbers(&batch.unwrap())).collect()
}

/// The batches before the first error, and that error.
fn until_error(source: &dyn BatchSource, epoch: usize, from: usize) -> (usize, String) {
    let mut batches = source.checked_batches(epoch, from).unwrap();
    let mut count = 0;
    loop {
        match batches.next().expect("no error") {
            Ok(_) => count += 1,
            Err(error) => {
                assert!(batches.next().is_none(), "batches after an error");
                return (count, error.to_string());
            }
        }
    }
}

/// x [rows, 2, 3], ids `[rows]`, y `[rows]`, and weights: every value tells its row.
fn dataset(rows: usize) -> Dataset {
    let x = ndarray::Array3::from_shape_fn((rows, 2, 3), |(i, j, k)| (100 * i + 10 * j + k) as f32);
    let ids: Vec<i64> = (0..rows as i64).map(|i| 16_777_217 + i).collect();
    let y: Vec<f64> = (0..rows).map(|i| i as f64 + 0.1).collect();
    let weight: Vec<f32> = (0..rows).map(|i| 1.0 / (i + 1) as f32).collect();
    Dataset {
        x: vec![x.to_tensor().unwrap(), ids.to_tensor().unwrap()],
        y: vec![y.to_tensor().unwrap()],
        sample_weight: vec![Some(weight.to_tensor().unwrap())],
        ..Dataset::default()
    }
}

fn options(batch_size: usize, shuffle: Shuffle, steps_per_epoch: Option<usize>) -> BatchOptions {
    BatchOptions { batch_size, shuffle, seed: 3, steps_per_epoch }
}

/// Writes a data set as files, the first input as a file of the test's own.
fn write(dir: &Path, data: &Dataset, first: impl FnOnce(&Path)) -> Arrays {
    let file = |name: &str| dir.join(name);
    first(&file("x.npy"));
    write_npy(file("ids.npy"), &data.x[1]).unwrap();
    write_npy(file("y.npy"), &data.y[0]).unwrap();
    write_npy(file("w.npy"), data.sample_weight[0].as_ref().unwrap()).unwrap();
    Arrays {
        x: Files::Many(vec![file("x.npy"), file("ids.npy")]),
        y: Some(Files::One(file("y.npy"))),
        sample_weight: Some(Files::One(file("w.npy"))),
    }
}

/// The rows of each batch by Keras's rules, from the plan and the order themselves.
#[test]
fn arrays_come_in_the_order_of_fit() {
    for shuffle in [Shuffle::Off, Shuffle::Rows, Shuffle::Batch] {
        let source = ArraySource::new(dataset(10), options(3, shuffle, Some(2))).unwrap();
        let plan = BatchPlan::new(10, 3).unwrap().with_steps_per_epoch(2).unwrap();
        for epoch in 0..5 {
            let order = shuffle.order(3, plan.pass(epoch) as u64, 10, 3).unwrap();
            let order = order.unwrap_or_else(|| (0..10).collect());
            let rows: Vec<Vec<f64>> = plan
                .batches(epoch)
                .map(|range| {
                    order[range].iter().map(|row| 16_777_217.0 + f64::from(*row)).collect()
                })
                .collect();
            let ids: Vec<Vec<f64>> =
                batches(&source, epoch, 0).into_iter().map(|mut batch| batch.remove(1)).collect();
            assert_eq!(ids, rows, "{shuffle:?} {epoch}");
            assert_eq!(source.steps(epoch), Some(rows.len()));
        }
    }
}

#[test]
fn shuffled_batches_stay_whole_and_change_within() {
    let source = ArraySource::new(dataset(64), options(16, Shuffle::Batch, None)).unwrap();
    let mut changed = 0;
    for (index, batch) in batches(&source, 0, 0).into_iter().enumerate() {
        let neighbours: Vec<f64> =
            (0..16).map(|i| (16 * index + i) as f64 + 16_777_217.0).collect();
        let mut ids = batch[1].clone();
        changed += usize::from(ids != neighbours);
        ids.sort_by(f64::total_cmp);
        assert_eq!(ids, neighbours);
    }
    assert_eq!(changed, 4);
}

#[test]
fn arrays_that_do_not_fit_are_refused() {
    let error = |data| match ArraySource::new(data, BatchOptions::default()) {
        Ok(_) => panic!("accepted"),
        Err(error) => error.to_string(),
    };
    let mut short = dataset(4);
    short.y = vec![[1f32, 2., 3.].to_tensor().unwrap()];
    assert!(error(short).contains("x has 4 rows, y has 3"));
    let mut weights = dataset(4);
    weights.sample_weight.push(None);
    assert!(error(weights).contains("sample_weight has 2 arrays, y has 1"));
    assert!(error(Dataset::default()).contains("no arrays"));
    let options = options(0, Shuffle::Off, None);
    let error = ArraySource::new(dataset(4), options).err().unwrap().to_string();
    assert!(error.contains("batch_size is 0"), "{error}");
}

#[test]
fn npy_files_give_the_batches_of_arrays() {
    use ndarray_npy::WriteNpyExt;
    let data = dataset(23);
    let x = ndarray::Array3::from_shape_fn((23, 2, 3), |(i, j, k)| (100 * i + 10 * j + k) as f32);
    for fortran in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let files = write(dir.path(), &data, |path| {
            let file = std::fs::File::create(path).unwrap();
            if fortran {
                let mut turned = ndarray::Array3::zeros(ndarray::ShapeBuilder::f((23, 2, 3)));
                turned.assign(&x);
                turned.write_npy(file).unwrap();
            } else {
                x.write_npy(file).unwrap();
            }
        });
        for shuffle in [Shuffle::Off, Shuffle::Rows, Shuffle::Batch] {
            let options = options(5, shuffle, Some(3));
            let npy = NpySource::open(&files, options).unwrap();
            let arrays = ArraySource::new(data.clone(), options).unwrap();
            assert_eq!(npy.spec(), arrays.spec());
            for (epoch, from) in [(0, 0), (1, 0), (2, 0), (0, 2), (1, 1)] {
                let wanted = batches(&arrays, epoch, from);
                assert_eq!(batches(&npy, epoch, from), wanted, "{shuffle:?} {epoch} {from}");
                assert_eq!(npy.steps(epoch), arrays.steps(epoch));
            }
        }
    }
}

#[test]
fn npy_files_of_other_types_arrive_in_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.npy");
    // 2^24 + 1 as a big-endian i8, and a boolean.
    let mut bytes = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    let header = "{'descr': '>i8', 'fortran_order': False, 'shape': (2,), }";
    bytes.extend(format!("{header:<117}\n").bytes());
    bytes.extend([16_777_217i64, -1].map(i64::to_be_bytes).concat());
    std::fs::write(&path, bytes).unwrap();
    let files = Arrays { x: Files::One(path), y: None, sample_weight: None };
    let source = NpySource::open(&files, options(1, Shuffle::Off, None)).unwrap();
    assert_eq!(source.spec().x, [ArraySpec::new(&[], DType::I64)]);
    assert_eq!(batches(&source, 0, 0), [[[16_777_217.0]], [[-1.0]]]);
}

/// 16 GiB by its length, of which the disk holds a few pages: read as a whole it would end the test.
#[cfg(unix)]
#[test]
fn npy_files_may_be_larger_than_memory() {
    use std::os::unix::fs::FileExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("huge.npy");
    let file = std::fs::File::create(&path).unwrap();
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1048576, 4096), }";
    let mut bytes = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    bytes.extend(format!("{header:<117}\n").bytes());
    file.write_all_at(&bytes, 0).unwrap();
    let end = 128 + 4 * 4096 * 1_048_576u64;
    file.set_len(end).unwrap();
    file.write_all_at(&7f32.to_le_bytes(), end - 4).unwrap();
    let files = Arrays { x: Files::One(path), y: None, sample_weight: None };
    for shuffle in [Shuffle::Off, Shuffle::Rows] {
        let source = NpySource::open(&files, options(32, shuffle, None)).unwrap();
        let last = source.checked_batches(0, 32_767).unwrap().next().unwrap().unwrap();
        assert_eq!(last.x[0].dims(), [32, 4096]);
        if shuffle == Shuffle::Off {
            let value = last.x[0].narrow(0, 31, 1).unwrap().flatten_all().unwrap();
            assert_eq!(value.to_vec1::<f32>().unwrap()[4095], 7.0);
        }
    }
}

#[test]
fn npy_errors_say_which_file_and_batch() {
    let (dir, data) = (tempfile::tempdir().unwrap(), dataset(8));
    let files = write(dir.path(), &data, |path| write_npy(path, &data.x[0]).unwrap());
    let source = NpySource::open(&files, options(2, Shuffle::Off, None)).unwrap();
    let y = dir.path().join("y.npy");
    std::fs::OpenOptions::new().write(true).open(&y).unwrap().set_len(150).unwrap();
    let (count, text) = until_error(&source, 1, 2);
    assert_eq!(count, 0);
    assert!(text.contains("y.npy: batch 3 of epoch 2: cannot be read: it has shrunk"), "{text}");
    let text = NpySource::open(&files, BatchOptions::default()).err().unwrap().to_string();
    assert!(text.contains("y.npy: is truncated"), "{text}");
    write_npy(&y, &[1f32; 7].to_tensor().unwrap()).unwrap();
    let text = NpySource::open(&files, BatchOptions::default()).err().unwrap().to_string();
    assert!(text.contains("y.npy: has 7 rows") && text.contains("x.npy has 8"), "{text}");
    write_npy(&y, &Tensor::zeros((0, 2), DType::F32, &Device::Cpu).unwrap()).unwrap();
    let text = NpySource::open(&files, BatchOptions::default()).err().unwrap().to_string();
    assert!(text.contains("y.npy: has no rows"), "{text}");
}

/// A file whose column `a` counts the rows, with blank lines and text classes in between.
fn csv(dir: &Path, rows: usize) -> PathBuf {
    let path = dir.join("data.csv");
    let mut text = "a,kind,b\n".to_string();
    for row in 0..rows {
        text += &format!("{row},{},{}\n", ["v", "u", "w"][row % 3], row * 10);
        if row % 4 == 0 {
            text += "\n";
        }
    }
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn csv_chunks_give_the_batches_of_the_whole_file() {
    let dir = tempfile::tempdir().unwrap();
    let (path, columns) = (csv(dir.path(), 23), CsvColumns::new("kind"));
    let whole = crate::read_csv(&path, &columns).unwrap();
    let options = |target| CsvOptions { batch_size: 5, target, ..CsvOptions::default() };
    let source = CsvSource::open(&path, &columns, options(None)).unwrap();
    let data = Dataset { x: vec![whole.x], y: vec![whole.y], ..Dataset::default() };
    let plain = BatchOptions { batch_size: 5, shuffle: Shuffle::Off, ..BatchOptions::default() };
    let arrays = ArraySource::new(data, plain).unwrap();
    assert_eq!(source.spec(), arrays.spec());
    assert_eq!(source.steps(0), Some(5));
    assert_eq!(source.class_names().unwrap(), ["u", "v", "w"]);
    assert_eq!(source.feature_names(), ["a", "b"]);
    for from in 0..=5 {
        assert_eq!(batches(&source, 1, from), batches(&arrays, 1, from));
    }
    // Stated, the classes need no first pass.
    let target = CsvTarget::Classes(["u", "v", "w"].map(String::from).to_vec());
    let stated = CsvSource::open(&path, &columns, options(Some(target))).unwrap();
    assert_eq!((stated.steps(0), stated.spec()), (None, source.spec()));
    assert_eq!(batches(&stated, 0, 0), batches(&arrays, 0, 0));
}

#[test]
fn csv_rows_are_shuffled_within_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let path = csv(dir.path(), 50);
    let open = |seed, shuffle_buffer| {
        let options = CsvOptions { batch_size: 4, shuffle_buffer, seed, target: None };
        CsvSource::open(&path, &CsvColumns::new("kind"), options).unwrap()
    };
    let rows = |source: &CsvSource, epoch, from| -> Vec<f64> {
        let batches = batches(source, epoch, from);
        batches
            .into_iter()
            .flat_map(|batch| batch[0].chunks(2).map(|row| row[0]).collect::<Vec<_>>())
            .collect()
    };
    // 10 rows are rounded up to 3 batches.
    let source = open(1, 10);
    let first = rows(&source, 0, 0);
    for (index, block) in first.chunks(12).enumerate() {
        let mut sorted = block.to_vec();
        sorted.sort_by(f64::total_cmp);
        let wanted: Vec<f64> =
            (12 * index..50.min(12 * index + 12)).map(|row| row as f64).collect();
        assert_eq!(sorted, wanted);
        assert!(block.len() < 3 || block != wanted);
    }
    assert_eq!(first, rows(&source, 0, 0));
    assert_ne!(first, rows(&source, 1, 0));
    assert_ne!(first, rows(&open(2, 10), 0, 0));
    for from in 0..=13 {
        assert_eq!(rows(&source, 0, from), first[(4 * from).min(50)..], "{from}");
    }
    // Rows stay together: b is ten times a.
    for batch in batches(&source, 0, 0) {
        assert!(batch[0].chunks(2).all(|row| row[1] == 10.0 * row[0]));
    }
}

#[test]
fn csv_errors_say_line_and_batch() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bad.csv");
    std::fs::write(&path, "a,y\n1,0\n2,1\n\n3,0\nx,1\n").unwrap();
    let options = CsvOptions { batch_size: 2, ..CsvOptions::default() };
    let source = CsvSource::open(&path, &CsvColumns::new("y"), options.clone()).unwrap();
    let (count, text) = until_error(&source, 2, 0);
    assert_eq!(count, 1);
    let wanted = "bad.csv: batch 2 of epoch 3: line 6, column `a`: `x` is not a number";
    assert!(text.contains(wanted), "{text}");
    // The file has become shorter since its rows were counted.
    std::fs::write(&path, "a,y\n1,0\n2,1\n").unwrap();
    let (count, text) = until_error(&source, 0, 0);
    assert_eq!(count, 1);
    assert!(text.contains("epoch 1: the source ended after 1 batch of 2"), "{text}");
    for (text, target, expected) in [
        ("a,y\n1,0.5\n", CsvTarget::Integers, "`0.5` is not a whole number"),
        ("a,y\n1,u\n", CsvTarget::Classes(vec!["v".into()]), "unknown class `u`"),
        ("a,y\n1,u\n", CsvTarget::Floats, "`u` is not a number"),
    ] {
        std::fs::write(&path, text).unwrap();
        let options = CsvOptions { target: Some(target), ..options.clone() };
        let source = CsvSource::open(&path, &CsvColumns::new("y"), options).unwrap();
        let (_, text) = until_error(&source, 0, 0);
        assert!(
            text.contains("batch 1 of epoch 1: line 2, column `y`: ") && text.contains(expected)
        );
    }
    std::fs::write(&path, "a,y\n").unwrap();
    let text = CsvSource::open(&path, &CsvColumns::new("y"), options.clone()).unwrap_err();
    assert!(text.to_string().contains("no rows"));
    let options = CsvOptions { target: Some(CsvTarget::Integers), ..options };
    let source = CsvSource::open(&path, &CsvColumns::new("y"), options).unwrap();
    assert!(until_error(&source, 0, 0).1.contains("epoch 1: the source gave no batches"));
}

fn spec() -> SourceSpec {
    SourceSpec {
        x: vec![ArraySpec::new(&[2], DType::F32).name("input")],
        y: vec![ArraySpec::new(&[], DType::I64)],
        sample_weight: vec![],
    }
}

/// A batch of `rows` rows, filled with a number.
fn batch(rows: usize, value: usize) -> Batch {
    let x = Tensor::full(value as f32, (rows, 2), &Device::Cpu).unwrap();
    let y = Tensor::zeros(rows, DType::I64, &Device::Cpu).unwrap();
    Batch { x: vec![x], y: vec![y], sample_weight: vec![] }
}

#[test]
fn closures_make_batches_from_any_place() {
    let endless = from_fn(spec(), Some(4), |epoch, from| {
        Ok((from..).map(move |index| Ok(batch(3, 100 * epoch + index))))
    });
    let firsts =
        |from| -> Vec<f64> { batches(&endless, 2, from).iter().map(|batch| batch[0][0]).collect() };
    assert_eq!(firsts(0), [200.0, 201.0, 202.0, 203.0]);
    assert_eq!(firsts(3), [203.0]);
    assert_eq!(firsts(4), [0.0; 0]);
    let ended = from_fn(spec(), None, |_, from| Ok((from..2).map(|index| Ok(batch(3, index)))));
    assert_eq!((batches(&ended, 0, 0).len(), ended.steps(0)), (2, None));
}

#[test]
fn sources_that_end_early_or_have_nothing_are_errors() {
    let source = |steps, given: usize| {
        from_fn(spec(), steps, move |_, from| Ok((from..given).map(|index| Ok(batch(1, index)))))
    };
    let (count, text) = until_error(&source(Some(5), 3), 1, 0);
    assert_eq!(count, 3);
    assert!(text.contains("epoch 2: the source ended after 3 batches of 5"), "{text}");
    for steps in [None, Some(5), Some(0)] {
        let (_, text) = until_error(&source(steps, 0), 0, 0);
        assert!(text.contains("epoch 1: the source gave no batches"), "{text}");
    }
    let failing = from_fn(spec(), None, |_, _| -> Result<std::iter::Empty<Result<Batch>>> {
        Err(Error::data("no connection"))
    });
    let text = failing.checked_batches(6, 0).err().unwrap().to_string();
    assert_eq!(text, "epoch 7: no connection");
}

#[test]
fn batches_that_do_not_fit_name_the_array() {
    let wrong = |change: fn(&mut Batch)| {
        let source = from_fn(spec(), None, move |_, _| {
            Ok((0..5).map(move |index| {
                let mut batch = batch(3, index);
                if index == 1 {
                    change(&mut batch);
                }
                Ok(batch)
            }))
        });
        let (count, text) = until_error(&source, 0, 0);
        assert_eq!(count, 1);
        text.strip_prefix("batch 2 of epoch 1: ").unwrap().to_string()
    };
    let zeros = |shape: &[usize], dtype| Tensor::zeros(shape, dtype, &Device::Cpu).unwrap();
    let text = wrong(|b| b.x = vec![Tensor::zeros((3, 4), DType::F32, &Device::Cpu).unwrap()]);
    assert!(
        text.contains("x `input` is F32 of shape [3, 4], the source states F32 of shape (None, 2)")
    );
    let text = wrong(|b| b.y = vec![Tensor::zeros(3, DType::F32, &Device::Cpu).unwrap()]);
    assert!(text.contains("y[0] is F32 of shape [3], the source states I64"), "{text}");
    let text = wrong(|b| b.y = vec![Tensor::zeros(4, DType::I64, &Device::Cpu).unwrap()]);
    assert_eq!(text, "x `input` has 3 rows, y[0] has 4");
    let text = wrong(|b| *b = batch(0, 0));
    assert_eq!(text, "x `input` has no rows");
    let text = wrong(|b| b.y.clear());
    assert!(text.contains("states 1 for the number of arrays of y, the batch has 0"), "{text}");
    let text = wrong(|b| b.sample_weight = vec![None, None]);
    assert!(text.contains("states 1 for the number of arrays of sample_weight"), "{text}");
    let text = wrong(|b| b.sample_weight = vec![Some(b.x[0].clone())]);
    assert!(text.contains("states none for sample_weight[0], the batch has some"), "{text}");
    let weighted =
        SourceSpec { sample_weight: vec![Some(ArraySpec::new(&[], DType::F32))], ..spec() };
    let mut given = batch(3, 0);
    given.sample_weight = vec![None];
    let text = weighted.check(&given).unwrap_err().to_string();
    assert!(text.contains("states some for sample_weight[0], the batch has none"), "{text}");
    given.sample_weight = vec![Some(zeros(&[3], DType::F32))];
    weighted.check(&given).unwrap();
}

#[test]
fn prefetched_batches_are_the_same() {
    let options = options(4, Shuffle::Rows, None);
    let plain = ArraySource::new(dataset(30), options).unwrap();
    for ahead in [0, 1, 3, 100] {
        let source = ArraySource::new(dataset(30), options).unwrap();
        let prefetch = Prefetch::new(source, ahead);
        assert_eq!((prefetch.spec(), prefetch.steps(0)), (plain.spec(), Some(8)));
        for (epoch, from) in [(0, 0), (1, 0), (1, 5), (1, 8)] {
            assert_eq!(batches(&prefetch, epoch, from), batches(&plain, epoch, from));
        }
    }
}

/// Counts the batches made, and says whether the iterator still lives.
#[derive(Default)]
struct Watch {
    made: AtomicUsize,
    alive: AtomicBool,
}

struct Watched(Arc<Watch>);

impl Iterator for Watched {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Result<Batch>> {
        Some(Ok(batch(1, self.0.made.fetch_add(1, Ordering::SeqCst))))
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.0.alive.store(false, Ordering::SeqCst);
    }
}

#[test]
fn prefetching_threads_end_with_the_iteration() {
    let watch = Arc::new(Watch::default());
    let made = watch.clone();
    let source = from_fn(spec(), None, move |_, _| {
        made.alive.store(true, Ordering::SeqCst);
        Ok(Watched(made.clone()))
    });
    let prefetch = Prefetch::new(source, 3);
    let mut iterator = prefetch.checked_batches(0, 0).unwrap();
    assert_eq!(numbers(&iterator.next().unwrap().unwrap())[0][0], 0.0);
    // The one taken and three ahead, however long it waits.
    while watch.made.load(Ordering::SeqCst) < 4 {
        std::thread::yield_now();
    }
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert_eq!(watch.made.load(Ordering::SeqCst), 4);
    assert!(watch.alive.load(Ordering::SeqCst));
    drop(iterator);
    // The thread dropped its end before the drop returned.
    assert!(!watch.alive.load(Ordering::SeqCst));
    // Not even looked at, it ends as well.
    drop(prefetch.checked_batches(0, 0).unwrap());
    assert!(!watch.alive.load(Ordering::SeqCst));
}

#[test]
fn prefetched_errors_and_panics_have_their_place() {
    let failing = |panics: bool| {
        let source = from_fn(spec(), None, move |_, from| {
            Ok((from..).map(move |index| match index {
                11 if panics => panic!("no more disk"),
                11 => Err(Error::data("no more disk")),
                _ => Ok(batch(1, index)),
            }))
        });
        until_error(&Prefetch::new(source, 2), 2, 4)
    };
    let (count, text) = failing(false);
    assert_eq!((count, text.as_str()), (7, "batch 12 of epoch 3: no more disk"));
    let (count, text) = failing(true);
    assert_eq!(count, 7);
    assert_eq!(text, "batch 12 of epoch 3: the source panicked: no more disk");
    let unopened = from_fn(spec(), None, |_, _| -> Result<std::iter::Empty<Result<Batch>>> {
        Err(Error::data("no connection"))
    });
    let (_, text) = until_error(&Prefetch::new(unopened, 2), 0, 0);
    assert_eq!(text, "epoch 1: no connection");
    let early = from_fn(spec(), Some(3), |_, from| Ok((from..1).map(|index| Ok(batch(1, index)))));
    let (_, text) = until_error(&Prefetch::new(early, 2), 0, 0);
    assert!(text.contains("ended after 1 batch of 3"), "{text}");
}

proptest! {
    /// Whatever the numbers: batches have the stated shapes, cover every row of a pass once, and a
    /// later start skips.
    #[test]
    fn batches_of_a_pass(
        rows in 1usize..60, batch_size in 1usize..70, steps in 1usize..9, kind in 0usize..3, from in 0usize..5,
    ) {
        let shuffle = [Shuffle::Off, Shuffle::Rows, Shuffle::Batch][kind];
        let source = ArraySource::new(dataset(rows), options(batch_size, shuffle, Some(steps))).unwrap();
        let plan = BatchPlan::new(rows, batch_size).unwrap().with_steps_per_epoch(steps).unwrap();
        let mut seen = Vec::new();
        for epoch in (0..).take_while(|epoch| plan.pass(*epoch) == 0) {
            let all: Vec<Batch> =
                source.checked_batches(epoch, 0).unwrap().collect::<Result<_>>().unwrap();
            prop_assert_eq!(all.len(), source.steps(epoch).unwrap());
            for batch in &all {
                let n = batch.rows();
                prop_assert!((1..=batch_size).contains(&n));
                prop_assert_eq!(batch.x[0].dims(), &[n, 2, 3]);
                prop_assert_eq!((batch.x[1].dims(), batch.y[0].dims()), (&[n][..], &[n][..]));
                prop_assert_eq!(batch.sample_weight[0].as_ref().unwrap().dims(), &[n]);
                seen.extend(batch.x[1].to_vec1::<i64>().unwrap());
            }
            let skipped: Vec<_> = all.iter().skip(from).map(numbers).collect();
            prop_assert_eq!(batches(&source, epoch, from), skipped);
        }
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..rows as i64).map(|i| 16_777_217 + i).collect::<Vec<_>>());
    }

    /// Any table, in chunks of any size, shuffled or not: the rows of the file, each once.
    #[test]
    fn csv_batches_of_a_pass(
        rows in 1usize..40, batch_size in 1usize..12, shuffle_buffer in 0usize..30, seed: u64,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = csv(dir.path(), rows);
        let options = CsvOptions { batch_size, shuffle_buffer, seed, target: None };
        let source = CsvSource::open(&path, &CsvColumns::new("kind"), options).unwrap();
        let epoch = Stream::named(seed, "epoch").below(5) as usize;
        let all = batches(&source, epoch, 0);
        prop_assert_eq!(all.len(), rows.div_ceil(batch_size));
        let mut seen: Vec<f64> =
            all.iter().flat_map(|batch| batch[0].chunks(2).map(|row| row[0])).collect();
        if shuffle_buffer > 0 {
            seen.sort_by(f64::total_cmp);
        }
        prop_assert_eq!(seen, (0..rows).map(|row| row as f64).collect::<Vec<_>>());
    }
}
