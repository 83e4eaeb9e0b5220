//! Any bytes as a CSV table, with a target column that may be there.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sconce_data::{CsvColumns, csv_file::read_csv_bytes};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(data) = read_csv_bytes(bytes, &CsvColumns::new("y")) {
        assert!(data.x.elem_count() <= bytes.len());
    }
});
