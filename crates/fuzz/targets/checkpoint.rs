//! Any safetensors as a checkpoint that a run goes on from, with the checksum made anew, which would hide
//! every change of it.
#![no_main]

mod common;

use libfuzzer_sys::fuzz_target;
use sconce_core::Fingerprint;
use sconce_saving::{Array, SafetensorsFile};
use sconce_train::{Checkpoint, Fit, Model, Verbose};

const MODEL: &str = r#"{"class_name": "Sequential", "config": {"layers": [
    {"class_name": "InputLayer", "config": {"batch_shape": [null, 2]}},
    {"class_name": "Dense", "config": {"units": 1, "name": "dense"}}]}}"#;

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut file) = SafetensorsFile::from_bytes(bytes, "fuzz") else { return };
    let mut sum = Fingerprint::new();
    for (key, value) in file.metadata.iter().filter(|(key, _)| *key != "sha256") {
        sum.add(key);
        sum.add(value);
    }
    let mut arrays: Vec<(&str, &Array)> = file.tensors.iter().collect();
    arrays.sort_by_key(|(name, _)| *name);
    for (name, array) in arrays {
        sum.add(name);
        sum.add(format!("{} {:?}", array.element(), array.shape()));
        sum.add(array.bytes());
    }
    file.metadata.insert("sha256".to_string(), sum.finish());
    let bytes = file.to_bytes().expect("what was read can be written");
    let path = common::file("step-000000001.safetensors", &bytes);
    let folder = path.parent().expect("it is in a folder");
    let mut model = Model::from_json(MODEL).expect("a model");
    model.compile("adam", "mse").expect("it is trained");
    let (x, y) = ([[0f32, 1.], [1., 0.], [1., 1.], [0., 0.]], [[1f32], [1.], [2.], [0.]]);
    // A checkpoint of the run itself would stay for the next input.
    let checkpoint = Checkpoint::new(folder).every_steps(1 << 40);
    let fit = Fit::new(2, 2).verbose(Verbose::Silent).checkpoint(checkpoint).resume(true);
    let _ = model.fit_with(&x, &y, fit);
    for left in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let _ = std::fs::remove_file(left.path());
    }
});
