//! Any bytes as the HDF5 file of weights, of Keras 3 or by layer, given to a model in order and by name.
#![no_main]

mod common;

use libfuzzer_sys::fuzz_target;
use sconce_core::Dims;
use sconce_saving::NamedTensors;
use sconce_train::{Model, WeightOptions};
use std::cell::RefCell;

/// A layer of each of the kinds whose weights older versions laid out in another way.
const MODEL: &str = r#"{"class_name": "Sequential", "config": {"name": "sequential", "layers": [
    {"class_name": "InputLayer", "config": {"batch_shape": [null, 4, 3], "name": "input"}},
    {"class_name": "Conv1D", "config": {"filters": 2, "kernel_size": 2, "name": "conv1d"}},
    {"class_name": "BatchNormalization", "config": {"name": "batch_normalization"}},
    {"class_name": "GRU", "config": {"units": 2, "return_sequences": true, "name": "gru"}},
    {"class_name": "LSTM", "config": {"units": 2, "name": "lstm"}},
    {"class_name": "Dense", "config": {"units": 2, "name": "dense"}}]}}"#;

thread_local! {
    static BUILT: RefCell<Model> = RefCell::new({
        let mut model = Model::from_json(MODEL).expect("a model");
        model.build(&Dims::batch_of(&[4, 3])).expect("its weights");
        model
    });
}

fuzz_target!(|bytes: &[u8]| {
    let _ = NamedTensors::from_h5_bytes(bytes.to_vec(), "fuzz");
    let path = common::file("model.weights.h5", bytes);
    for (by_name, skip_mismatch) in [(false, false), (true, true)] {
        let options = WeightOptions { by_name, skip_mismatch };
        let _ = BUILT.with_borrow_mut(|model| model.load_weights_with(&path, options));
    }
});
