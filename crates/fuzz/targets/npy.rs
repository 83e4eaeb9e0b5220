//! Any bytes as a `.npy` file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sconce_data::npy::read_npy_bytes;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(tensor) = read_npy_bytes(bytes) {
        assert!(tensor.elem_count() <= bytes.len());
    }
});
