//! Any bytes as a file of a whole model, of any Keras or as safetensors: networks, weights by layer, compile
//! state, optimizer variables. Members of archives are changed behind their checksums.
#![no_main]

mod common;

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use sconce_train::{LoadOptions, Model};

fuzz_target!(|bytes: &[u8]| {
    // The length of the JSON, then the JSON.
    let is_safetensors = bytes.get(8) == Some(&b'{');
    let name = if is_safetensors { "model.safetensors" } else { "model.keras" };
    let path = common::file(name, bytes);
    if let Ok((model, _)) = Model::load_with_report(&path, LoadOptions::new()) {
        let _ = (model.to_json(), model.summary());
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    common::mutate_archive(data, size, max_size, seed)
});
