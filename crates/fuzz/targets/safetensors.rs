//! Any bytes as safetensors; what is read can be written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sconce_saving::SafetensorsFile;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(file) = SafetensorsFile::from_bytes(bytes, "fuzz") {
        let again = file.to_bytes().expect("what was read can be written");
        let again = SafetensorsFile::from_bytes(&again, "again").expect("and read again");
        assert_eq!(again.metadata, file.metadata);
        assert_eq!(again.tensors.len(), file.tensors.len());
    }
});
