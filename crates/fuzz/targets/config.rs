//! Any JSON as a serialized model, as an architecture, as a run configuration, and as the history of a run.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sconce_saving::keras_json::scan;
use sconce_saving::network::is_supported;
use sconce_train::{History, Model, RunConfig};

fuzz_target!(|bytes: &[u8]| {
    let Ok(json) = serde_json::from_slice(bytes) else { return };
    let _ = scan(&json, "", &is_supported);
    let _ = RunConfig::from_json(&json);
    let _ = serde_json::from_value::<History>(json);
    if let Ok(text) = str::from_utf8(bytes)
        && let Ok(model) = Model::from_json(text)
    {
        let _ = (model.to_json(), model.summary());
    }
});
