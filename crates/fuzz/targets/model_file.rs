//! Any bytes as a whole model of any Keras, as far as the network: the older HDF5 format, configurations of
//! Keras 1 and 2, weights by layer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sconce_core::Device;
use sconce_saving::{ModelFile, network};
use std::path::Path;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(file) = ModelFile::from_bytes(bytes.to_vec(), "fuzz") {
        let _ = network::from_file(&file, file.compile_config.as_ref(), Path::new("fuzz"), &Device::Cpu);
    }
});
