//! A sink that fails once, to its owner, instead of again and again to its user.

use crate::atomic::Sink;
use std::io::{self, Seek, SeekFrom, Write};

/// Stands before a sink for a writer that works on after an error: the zip writer finishes its archive
/// when it is dropped, and would print the second error of a full disk on stderr. From the first error
/// on, everything succeeds and goes nowhere; [`FirstError::end`] gives the error back.
pub(crate) struct FirstError<'a> {
    sink: &'a mut dyn Sink,
    position: u64,
    error: Option<io::Error>,
}

impl<'a> FirstError<'a> {
    pub(crate) fn new(sink: &'a mut dyn Sink) -> Self {
        Self { sink, position: 0, error: None }
    }

    /// The first error of the sink, or else `result`.
    pub(crate) fn end(self, result: io::Result<()>) -> io::Result<()> {
        self.error.map_or(result, Err)
    }

    /// Does `real` unless there was an error; then, and if `real` fails, `pretended` is the answer.
    fn attempt<T>(&mut self, pretended: T, real: impl FnOnce(&mut dyn Sink) -> io::Result<T>) -> T {
        if self.error.is_some() {
            return pretended;
        }
        match real(self.sink) {
            Ok(value) => value,
            Err(error) => {
                self.error = Some(error);
                pretended
            }
        }
    }
}

impl Write for FirstError<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // All of it or an error: what a short write leaves over would have no place to go.
        self.attempt((), |sink| sink.write_all(bytes));
        self.position += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.attempt((), |sink| sink.flush());
        Ok(())
    }
}

impl Seek for FirstError<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let pretended = match to {
            SeekFrom::Start(position) => position,
            SeekFrom::Current(offset) => self.position.saturating_add_signed(offset),
            SeekFrom::End(_) => self.position,
        };
        self.position = self.attempt(pretended, |sink| sink.seek(to));
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_gets_the_first_error_and_the_user_none() {
        let mut small = [0; 4];
        let mut full = io::Cursor::new(&mut small[..]);
        let mut sink = FirstError::new(&mut full);
        sink.write_all(b"ab").unwrap();
        sink.write_all(b"cdefg").unwrap();
        assert_eq!(sink.stream_position().unwrap(), 7);
        assert_eq!(sink.seek(SeekFrom::Start(1)).unwrap(), 1);
        sink.write_all(b"x").unwrap();
        sink.flush().unwrap();
        assert_eq!(sink.end(Ok(())).unwrap_err().kind(), io::ErrorKind::WriteZero);
        assert!(small.starts_with(b"ab"));
    }

    #[test]
    fn without_an_error_everything_arrives() {
        let mut memory = io::Cursor::new(Vec::new());
        let mut sink = FirstError::new(&mut memory);
        sink.write_all(b"hello").unwrap();
        sink.seek(SeekFrom::Start(0)).unwrap();
        sink.write_all(b"J").unwrap();
        assert_eq!(sink.seek(SeekFrom::End(0)).unwrap(), 5);
        sink.end(Ok(())).unwrap();
        assert_eq!(memory.into_inner(), b"Jello");
    }
}
