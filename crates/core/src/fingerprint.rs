//! Fingerprints: whether two things are the same, byte for byte, without keeping both.

use sha2::{Digest, Sha256};
use std::io::{self, Write};

/// The SHA-256 of everything that was added, in order. Each part counts with its length, so that
/// two parts are never taken for others with the border elsewhere.
#[derive(Clone, Default)]
pub struct Fingerprint(Sha256);

impl Fingerprint {
    /// Of nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a part.
    pub fn add(&mut self, part: impl AsRef<[u8]>) {
        let part = part.as_ref();
        self.0.update((part.len() as u64).to_le_bytes());
        self.0.update(part);
    }

    /// The sum in hexadecimal digits.
    pub fn finish(self) -> String {
        self.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Bytes without their number, for writers of long data; a part of known length stands before them.
impl Write for Fingerprint {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_sha_256_and_borders_count() {
        // FIPS 180-4, "abc".
        let mut of_bytes = Fingerprint::new();
        of_bytes.write_all(b"abc").unwrap();
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(of_bytes.finish(), known);
        let of = |parts: &[&str]| {
            let mut sum = Fingerprint::new();
            parts.iter().for_each(|part| sum.add(part));
            sum.finish()
        };
        assert_eq!(of(&["ab", "c"]), of(&["ab", "c"]));
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
    }
}
