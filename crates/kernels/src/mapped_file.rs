//! Files read through a memory map: the system loads the pages that are asked for, and no others.

use memmap2::{MmapOptions, MmapRaw};
use std::fs::File;
use std::io::{self, Error, ErrorKind};

/// A file mapped into memory, read by copying ranges of its bytes.
///
/// No reference into the map is ever handed out, so what another process writes to the file while it
/// is mapped arrives as changed bytes and as nothing worse. What no process can be kept from is to
/// shorten the file. [`MappedFile::read`] compares the length before each copy and returns an error
/// if the file has shrunk; if it shrinks during the copy itself, or if its device fails, the system
/// ends this process with SIGBUS (an access violation on Windows). Replace a file that may be in use
/// by writing another and renaming it: the map then keeps the old one.
#[derive(Debug)]
pub struct MappedFile {
    file: File,
    map: MmapRaw,
}

impl MappedFile {
    /// Maps a whole regular file, as long as it is now.
    ///
    /// # Errors
    /// A file that the system cannot map.
    pub fn new(file: File) -> io::Result<Self> {
        let map = MmapOptions::new().map_raw_read_only(&file)?;
        Ok(Self { file, map })
    }

    /// The length of the file when it was mapped, in bytes.
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether the file was empty when it was mapped.
    pub fn is_empty(&self) -> bool {
        self.map.len() == 0
    }

    /// Copies the bytes of each range that `starts` gives into `out`, one after the other; all ranges
    /// are `width` bytes long, and `out` holds exactly all of them.
    ///
    /// # Errors
    /// A range beyond the end; a file that has become shorter since it was mapped.
    pub fn read(
        &self,
        starts: impl IntoIterator<Item = usize>,
        width: usize,
        out: &mut [u8],
    ) -> io::Result<()> {
        let now = self.file.metadata()?.len();
        if now < self.map.len() as u64 {
            let message =
                format!("it has shrunk from {} to {now} bytes since it was opened", self.map.len());
            return Err(Error::new(ErrorKind::UnexpectedEof, message));
        }
        let mut starts = starts.into_iter();
        for part in out.chunks_mut(width.max(1)) {
            let start = starts.next().filter(|start| {
                part.len() == width && start.checked_add(width).is_some_and(|end| end <= self.len())
            });
            let Some(start) = start else {
                return Err(Error::new(ErrorKind::InvalidInput, "a range beyond its end"));
            };
            // SAFETY: `start + width` lies within the map, which lives as long as `self`, and `part`
            // is `width` bytes of memory that only we hold. The map is read through a raw pointer, so
            // that no reference claims that its bytes stay as they are.
            unsafe {
                let from = self.map.as_ptr().add(start);
                std::ptr::copy_nonoverlapping(from, part.as_mut_ptr(), width);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn mapped(bytes: &[u8]) -> (tempfile::NamedTempFile, MappedFile) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let map = MappedFile::new(file.reopen().unwrap()).unwrap();
        (file, map)
    }

    #[test]
    fn ranges_are_copied_in_the_order_given() {
        let (_file, map) = mapped(b"0123456789");
        let mut out = [0; 6];
        map.read([8, 0, 8], 2, &mut out).unwrap();
        assert_eq!(&out, b"890189");
        assert_eq!(map.len(), 10);
        map.read([], 3, &mut []).unwrap();
    }

    #[test]
    fn ranges_beyond_the_end_are_errors() {
        let (_file, map) = mapped(b"0123456789");
        for (start, width) in [(9, 2), (11, 1), (usize::MAX, 2), (0, 11)] {
            let mut out = vec![0; width];
            assert!(map.read([start], width, &mut out).is_err(), "{start} {width}");
        }
        // Fewer ranges than `out` has room for, and a part that is not a whole range.
        assert!(map.read([0], 2, &mut [0; 4]).is_err());
        assert!(map.read([0, 2], 2, &mut [0; 3]).is_err());
    }

    #[test]
    fn a_file_that_has_shrunk_is_an_error() {
        let (file, map) = mapped(&[7; 10_000]);
        file.as_file().set_len(5_000).unwrap();
        let error = map.read([0], 4, &mut [0; 4]).unwrap_err().to_string();
        assert!(error.contains("shrunk from 10000 to 5000 bytes"), "{error}");
    }

    #[test]
    fn an_empty_file_has_nothing_to_read() {
        let (_file, map) = mapped(b"");
        assert!(map.is_empty());
        assert!(map.read([0], 1, &mut [0]).is_err());
    }
}
