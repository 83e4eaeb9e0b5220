//! Any bytes as the HDF5 file of weights: past the zip file's checksum, which hides it from the
//! target `keras_archive`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sconce_saving::NamedTensors;

fuzz_target!(|bytes: &[u8]| {
    let _ = NamedTensors::from_h5_bytes(bytes.to_vec(), "fuzz");
});
