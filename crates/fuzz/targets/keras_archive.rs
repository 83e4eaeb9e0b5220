//! Any bytes as a `.keras` archive; what is read can be written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sconce_saving::KerasArchive;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(archive) = KerasArchive::from_bytes(bytes, "fuzz") {
        let again = archive.to_bytes().expect("what was read can be written");
        assert_eq!(KerasArchive::from_bytes(&again, "again").expect("and read again"), archive);
    }
});
