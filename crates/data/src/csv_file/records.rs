//! Comma-separated records from a stream of bytes, one at a time (RFC 4180; lines may end in LF, CRLF
//! or CR, blank lines and spaces around fields do not count).
//!
//! Why not the `csv` crate's reader: it takes a quote that is never closed for closed at the end of
//! the file, so that all rows in between are lost in silence, and it does not say on which line a
//! record after blank lines starts. The tests compare the two.

use std::io::BufRead;

/// More is taken for a quote that was not meant to be one.
const MAX_RECORD: usize = 16 << 20;

#[derive(Clone, Copy, PartialEq)]
enum State {
    RecordStart,
    FieldStart,
    Plain,
    Quoted,
    /// After a quote within a quoted field: its end, or the first of two.
    Quote,
    AfterQuoted,
}

/// Reads records; after [`Records::next`] the fields of one are at hand.
pub(super) struct Records<R> {
    reader: R,
    /// The line that is being read, from 1.
    current: u64,
    /// The line on which the record at hand starts.
    line: u64,
    after_cr: bool,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl<R: BufRead> Records<R> {
    /// Skips a UTF-8 byte order mark.
    ///
    /// # Errors
    /// UTF-16.
    pub fn new(mut reader: R) -> Result<Self, String> {
        let first = reader.fill_buf().map_err(unreadable)?;
        let mark = first.starts_with(b"\xff\xfe") || first.starts_with(b"\xfe\xff");
        if mark || first.iter().take(2).any(|byte| *byte == 0) {
            return Err(
                "is UTF-16, or no text; save it as UTF-8 (in a spreadsheet: \"CSV UTF-8\")".into(),
            );
        }
        if first.starts_with(b"\xef\xbb\xbf") {
            reader.consume(3);
        }
        let (bytes, ends) = (Vec::new(), Vec::new());
        Ok(Self { reader, current: 1, line: 1, after_cr: false, bytes, ends })
    }

    /// Reads the next record; `false` at the end of the file.
    ///
    /// # Errors
    /// A quote that is never closed, with the line on which it was opened; text after a closing
    /// quote; a record that is too long.
    pub fn next(&mut self) -> Result<bool, String> {
        self.bytes.clear();
        self.ends.clear();
        let mut state = State::RecordStart;
        let mut opened = self.current;
        loop {
            let buffer = self.reader.fill_buf().map_err(unreadable)?;
            if buffer.is_empty() {
                return match state {
                    State::RecordStart => Ok(false),
                    State::Quoted => Err(unclosed(opened)),
                    _ => {
                        self.ends.push(self.bytes.len());
                        Ok(true)
                    }
                };
            }
            let mut used = 0;
            let mut complete = false;
            for &byte in buffer {
                used += 1;
                let line = self.current;
                let newline = matches!(byte, b'\n' | b'\r');
                if newline && !(byte == b'\n' && self.after_cr) {
                    self.current += 1;
                }
                self.after_cr = byte == b'\r';
                if state == State::RecordStart {
                    if newline {
                        continue;
                    }
                    self.line = line;
                    state = State::FieldStart;
                }
                match (state, byte) {
                    (State::Quoted, b'"') => state = State::Quote,
                    (State::Quote, b'"') => {
                        self.bytes.push(b'"');
                        state = State::Quoted;
                    }
                    (State::Quoted, _) => {
                        self.bytes.push(byte);
                        if self.bytes.len() > MAX_RECORD {
                            return Err(unclosed(opened));
                        }
                    }
                    (_, b',') => {
                        self.ends.push(self.bytes.len());
                        state = State::FieldStart;
                    }
                    _ if newline => {
                        self.ends.push(self.bytes.len());
                        complete = true;
                        break;
                    }
                    (State::FieldStart, b' ' | b'\t') => {}
                    (State::FieldStart, b'"') => {
                        opened = line;
                        state = State::Quoted;
                    }
                    (State::Quote | State::AfterQuoted, b' ' | b'\t') => state = State::AfterQuoted,
                    (State::Quote | State::AfterQuoted, _) => {
                        return Err(format!(
                            "line {line}: text follows a closing quote (opened on line {opened}); \
                             separate fields by commas, and write a quote within a field twice"
                        ));
                    }
                    _ => {
                        self.bytes.push(byte);
                        state = State::Plain;
                        if self.bytes.len() > MAX_RECORD {
                            return Err(format!("line {line}: is longer than {MAX_RECORD} bytes"));
                        }
                    }
                }
            }
            self.reader.consume(used);
            if complete {
                return Ok(true);
            }
        }
    }

    /// The line on which the record starts.
    pub fn first_line(&self) -> u64 {
        self.line
    }

    /// The number of fields of the record.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// A field without the spaces around it; empty if there is none at this place.
    pub fn field(&self, index: usize) -> &[u8] {
        let start = match index.checked_sub(1) {
            Some(before) => self.ends.get(before).copied(),
            None => Some(0),
        };
        let range = start.zip(self.ends.get(index).copied());
        range.and_then(|(start, end)| self.bytes.get(start..end)).unwrap_or_default().trim_ascii()
    }
}

fn unclosed(line: u64) -> String {
    format!("line {line}: the quote opened on this line is never closed; close it, or remove it")
}

fn unreadable(error: std::io::Error) -> String {
    format!("cannot be read: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::BufReader;

    /// Every record with its line, through a buffer of so many bytes.
    fn records(text: &[u8], buffer: usize) -> Result<Vec<(u64, Vec<String>)>, String> {
        let mut records = Records::new(BufReader::with_capacity(buffer, text))?;
        let mut all = Vec::new();
        while records.next()? {
            let field = |i| String::from_utf8_lossy(records.field(i)).into_owned();
            all.push((records.first_line(), (0..records.len()).map(field).collect()));
        }
        Ok(all)
    }

    #[test]
    fn fields_are_trimmed_and_lines_counted() {
        let text = b"\xef\xbb\xbfa , b\t,\"c \"\r\n\r\n 1,, \"x \"\"y\"\", z\" \r\n\"2\n3\",4,5\n\n6,7,\" 8\"";
        for buffer in [3, 4, 7, 1000] {
            let all = records(text, buffer).unwrap();
            let (lines, fields): (Vec<u64>, Vec<Vec<String>>) = all.into_iter().unzip();
            assert_eq!(lines, [1, 3, 4, 7]);
            assert_eq!(fields[0], ["a", "b", "c"]);
            assert_eq!(fields[1], ["1", "", "x \"y\", z"]);
            assert_eq!(fields[2], ["2\n3", "4", "5"]);
            assert_eq!(fields[3], ["6", "7", "8"]);
        }
        let lines: Vec<u64> = records(b"a\rb\r\rc", 8).unwrap().iter().map(|r| r.0).collect();
        assert_eq!(lines, [1, 2, 4]);
    }

    #[test]
    fn quotes_that_do_not_close_are_refused() {
        let error = |text: &[u8]| records(text, 8).unwrap_err();
        let text = error(b"a,b\n1,2\n\n3,\"4\n5,6\n7,8\n");
        assert!(text.contains("line 4: the quote opened on this line is never closed"), "{text}");
        // The next quote closes it; what follows shows that this was not meant.
        let text = error(b"a,b\n1,\"x\n2,\"y\"\n");
        assert!(text.contains("line 3: text follows a closing quote (opened on line 2)"), "{text}");
        let long = [b"\"".to_vec(), vec![b'x'; MAX_RECORD + 1]].concat();
        assert!(error(&long).contains("line 1: the quote opened on this line is never closed"));
    }

    #[test]
    fn other_encodings_are_refused() {
        for text in [&b"\xff\xfea\0,\0"[..], b"\xfe\xff\0a\0,", b"a\0,\0b\0\n\0"] {
            assert!(records(text, 100).unwrap_err().contains("UTF-16"));
        }
    }

    proptest! {
        /// What the `csv` crate writes comes back, and as its own reader reads it.
        #[test]
        fn written_records_come_back(
            rows in prop::collection::vec(prop::collection::vec("[a-c\"\n\r, ]{0,6}", 2), 1..8),
            buffer in 3usize..40,
        ) {
            let mut writer = csv::Writer::from_writer(Vec::new());
            for row in &rows {
                writer.write_record(row).unwrap();
            }
            let bytes = writer.into_inner().unwrap();
            let ours: Vec<Vec<String>> =
                records(&bytes, buffer).unwrap().into_iter().map(|(_, fields)| fields).collect();
            let mut theirs = csv::ReaderBuilder::new()
                .has_headers(false).flexible(true).trim(csv::Trim::All).from_reader(&bytes[..]);
            let theirs: Vec<Vec<String>> = theirs
                .records()
                .map(|record| record.unwrap().iter().map(String::from).collect())
                .collect();
            prop_assert_eq!(&ours, &theirs);
            let trimmed = |s: &String| s.trim_ascii().to_string();
            let wanted: Vec<Vec<String>> =
                rows.iter().map(|row| row.iter().map(trimmed).collect()).collect();
            prop_assert_eq!(ours, wanted);
        }
    }
}
