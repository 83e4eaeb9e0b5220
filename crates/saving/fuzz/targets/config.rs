//! Any JSON as a serialized model.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sconce_saving::keras_json::scan;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(model) = serde_json::from_slice(bytes) {
        let _ = scan(&model, "", &|class| class.len() % 2 == 0);
    }
});
