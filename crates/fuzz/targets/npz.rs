//! Any bytes as a `.npz` file, whose arrays are changed behind their checksums.
#![no_main]

mod common;

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use sconce_data::read_npz;

fuzz_target!(|bytes: &[u8]| {
    let _ = read_npz(common::file("arrays.npz", bytes));
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    common::mutate_archive(data, size, max_size, seed)
});
