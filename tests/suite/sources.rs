//! `fit` on sources of batches: the same bits as on arrays, errors with their place, threads that end.

use sconce::core::Error;
use sconce::data::spec::{Arrays, Files};
use sconce::data::{
    ArraySpec, Batch, BatchOptions, BatchSource, CsvColumns, CsvOptions, CsvSource, CsvTarget,
    NpySource, Prefetch, SourceSpec, ToTensor, from_fn, write_npy,
};
use sconce::prelude::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

fn data() -> (Vec<[f32; 2]>, Vec<i64>) {
    let x = (0..70).map(|i| [(i as f32 * 0.37).sin(), (i as f32 * 0.73).cos()]).collect();
    (x, (0..70).map(|i| i % 3).collect())
}

fn model() -> Sequential {
    let mut model = Sequential::new()
        .add(Dense::new(5).activation("relu").input_shape([2]))
        .add(Dropout::new(0.2))
        .add(Dense::new(3));
    model.compile(Adam::new(0.01), "sparse_categorical_crossentropy").unwrap();
    model
}

fn fit() -> Fit {
    Fit::new(3, 16).seed(5).verbose(Verbose::Silent)
}

fn bits(model: &Sequential) -> Vec<u32> {
    let weights = model.network().unwrap().get_weights().unwrap();
    let values = |w: &Tensor| w.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    weights.iter().flat_map(values).map(f32::to_bits).collect()
}

fn trained(source: &dyn BatchSource) -> (Vec<u32>, History) {
    let mut model = model();
    let history = model.fit_source(source, fit()).unwrap();
    (bits(&model), history)
}

#[test]
fn files_closures_and_prefetching_give_the_bits_of_arrays() {
    let folder = tempfile::tempdir().unwrap();
    let (x, y) = data();
    let mut on_arrays = model();
    let history = on_arrays.fit_with(&x, &y, fit()).unwrap();
    let expected = (bits(&on_arrays), history);

    let (x_file, y_file) = (folder.path().join("x.npy"), folder.path().join("y.npy"));
    write_npy(&x_file, &x.to_tensor().unwrap()).unwrap();
    write_npy(&y_file, &y.to_tensor().unwrap()).unwrap();
    let files = Arrays { x: Files::One(x_file), y: Some(Files::One(y_file)), sample_weight: None };
    let options = BatchOptions { batch_size: 16, seed: 5, ..BatchOptions::default() };
    let npy = Arc::new(NpySource::open(&files, options).unwrap());
    assert_eq!(trained(&npy), expected);

    let closure = |steps| {
        let npy = npy.clone();
        from_fn(npy.spec().clone(), steps, move |epoch, from| {
            let batches: Vec<_> = npy.batches(epoch, from)?.collect();
            Ok(batches.into_iter())
        })
    };
    assert_eq!(trained(&closure(Some(5))), expected);
    assert_eq!(trained(&closure(None)), expected);

    assert_eq!(trained(&Prefetch::new(npy.clone(), 3)), expected);
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let mut names = threads.filter_map(|t| std::fs::read_to_string(t.path().join("comm")).ok());
    assert!(!names.any(|name| name.starts_with("sconce-prefetch")));
}

/// A CSV file by chunks, its rows counted beforehand or not, in the order of the file.
#[test]
fn chunks_of_a_csv_file_give_the_bits_of_arrays() {
    let folder = tempfile::tempdir().unwrap();
    let (x, y) = data();
    let path = folder.path().join("data.csv");
    let rows = x.iter().zip(&y).map(|([a, b], y)| format!("{a:?},{y},{b:?}\n"));
    std::fs::write(&path, format!("a,label,b\n{}", rows.collect::<String>())).unwrap();
    let mut on_arrays = model();
    let history = on_arrays.fit_with(&x, &y, fit().shuffle(false)).unwrap();
    let expected = (bits(&on_arrays), history);
    let columns = CsvColumns::new("label");
    for target in [None, Some(CsvTarget::Integers)] {
        let options = CsvOptions { batch_size: 16, target, ..CsvOptions::default() };
        let source = CsvSource::open(&path, &columns, options).unwrap();
        assert_eq!(trained(&source), expected);
        assert_eq!(trained(&Prefetch::new(Arc::new(source), 2)), expected);
    }
}

/// Keeps how runs ended.
struct Ends(Arc<Mutex<Vec<String>>>);

impl Callback for Ends {
    fn name(&self) -> &'static str {
        "Ends"
    }

    fn on(&mut self, event: &Event, _: &mut sconce::train::Run<'_>) -> Result<Flow> {
        if let Event::TrainEnd { end } = event {
            self.0.lock().unwrap().push(format!("{end:?}"));
        }
        Ok(Flow::Continue)
    }
}

#[test]
fn a_failing_source_names_epoch_and_batch_and_the_run_ends_in_order() {
    let spec = SourceSpec {
        x: vec![ArraySpec::new(&[2], DType::F32)],
        y: vec![ArraySpec::new(&[], DType::I64)],
        sample_weight: Vec::new(),
    };
    let made = Arc::new(AtomicUsize::new(0));
    let counted = made.clone();
    let source = from_fn(spec, None, move |epoch, from| {
        let counted = counted.clone();
        Ok((from..4).map(move |batch| {
            counted.fetch_add(1, Ordering::Relaxed);
            if (epoch, batch) == (1, 2) {
                return Err(Error::data("the disk is gone"));
            }
            let x = Tensor::ones((4, 2), DType::F32, &Device::Cpu)?;
            let y = Tensor::zeros(4, DType::I64, &Device::Cpu)?;
            Ok(Batch { x: vec![x], y: vec![y], sample_weight: Vec::new() })
        }))
    });
    let ends = Arc::new(Mutex::new(Vec::new()));
    let error = model().fit_source(&source, fit().callback(Ends(ends.clone()))).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("batch 3 of epoch 2: the disk is gone"), "{error}");
    let ends = ends.lock().unwrap();
    assert!(ends.len() == 1 && ends[0].contains("the disk is gone"), "{ends:?}");
    // One batch to look at, then 4 and 3.
    assert_eq!(made.load(Ordering::Relaxed), 8);
}

#[test]
fn what_is_for_arrays_is_refused_with_a_source() {
    let source =
        from_fn(SourceSpec::default(), None, |_, _| Ok(std::iter::empty::<Result<Batch>>()));
    let refused = |fit: Fit| model().fit_source(&source, fit).unwrap_err().to_string();
    assert!(refused(fit().validation_split(0.2)).contains("at `validation_split`: is for arrays"));
    assert!(refused(fit()).contains("the source has no inputs"));
}
