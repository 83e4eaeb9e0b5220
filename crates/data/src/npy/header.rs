//! The header of a `.npy` file, read strictly: a dictionary of three known keys and nothing nested.
//!
//! Why not `ndarray-npy`'s: its parser of Python literals takes time exponential in the depth of
//! brackets (twenty cost seconds, forty bytes more never end), and it allocates whatever length the
//! file states.

use std::io::Read;

/// numpy's own limit (`max_header_size`).
const MAX_HEADER: usize = 10_000;

/// What the elements are in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Number {
    F16,
    F32,
    F64,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    Bool,
}

impl Number {
    pub(crate) fn size(self) -> usize {
        match self {
            Self::I8 | Self::U8 | Self::Bool => 1,
            Self::F16 | Self::I16 | Self::U16 => 2,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F64 | Self::I64 | Self::U64 => 8,
        }
    }
}

/// How an element lies in the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Format {
    pub number: Number,
    pub big_endian: bool,
}

#[derive(Debug)]
pub(crate) struct Header {
    pub format: Format,
    pub fortran: bool,
    /// As many elements as the product of these do follow in the file.
    pub shape: Vec<usize>,
    /// The first byte of the elements.
    pub start: usize,
}

/// Reads the header of a file of `len` bytes, and makes sure that the file holds exactly the
/// elements that the header announces.
pub(crate) fn read(reader: &mut impl Read, len: u64) -> Result<Header, String> {
    let mut first = [0u8; 8];
    take(reader, &mut first)?;
    let [magic @ .., major, minor] = first;
    if magic != *b"\x93NUMPY" {
        return Err("is not a .npy file (numpy.save writes those); its first bytes differ".into());
    }
    let length_bytes = match (major, minor) {
        (1, 0) => 2,
        (2 | 3, 0) => 4,
        _ => return Err(format!("is a .npy file of unknown version {major}.{minor}")),
    };
    let mut length = [0u8; 4];
    take(reader, length.get_mut(..length_bytes).unwrap_or_default())?;
    let length = u32::from_le_bytes(length) as usize;
    if length > MAX_HEADER {
        return Err(format!(
            "has a header of {length} bytes, more than {MAX_HEADER}: it is corrupted, or no array \
             of plain numbers"
        ));
    }
    let mut text = vec![0u8; length];
    take(reader, &mut text)?;
    let text = str::from_utf8(&text).map_err(|_| "has a header that is not text".to_string())?;
    let (descr, fortran, shape) = dictionary(text)?;
    let (number, big_endian) = number(&descr)?;

    // Axes of length zero are left out, so that a tensor's strides cannot overflow either.
    let size = shape
        .iter()
        .filter(|axis| **axis != 0)
        .try_fold(number.size(), |product, axis| product.checked_mul(*axis))
        .filter(|size| isize::try_from(*size).is_ok())
        .ok_or_else(|| format!("states the shape {shape:?}, larger than any memory"))?;
    let size = if shape.contains(&0) { 0 } else { size };
    let start = 8 + length_bytes + length;
    let data = len.saturating_sub(start as u64);
    if size as u64 != data {
        let wrong = if data < size as u64 { "truncated" } else { "corrupted" };
        return Err(format!(
            "is {wrong}: shape {shape:?} of `{descr}` needs {size} bytes of data, the file holds \
             {data}"
        ));
    }
    Ok(Header { format: Format { number, big_endian }, fortran, shape, start })
}

/// What stands before the elements, as numpy writes it (version 1.0): padded to 64 bytes.
pub(super) fn written(descr: &str, shape: &[usize]) -> Vec<u8> {
    let axes = match shape {
        [one] => format!("{one},"),
        _ => shape.iter().map(usize::to_string).collect::<Vec<_>>().join(", "),
    };
    let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({axes}), }}");
    let length = (10 + text.len() + 1).next_multiple_of(64) - 10;
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((length as u16).to_le_bytes());
    bytes.extend(format!("{text:<width$}\n", width = length - 1).into_bytes());
    bytes
}

fn take(reader: &mut impl Read, bytes: &mut [u8]) -> Result<(), String> {
    reader.read_exact(bytes).map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => "is truncated: it ends within its header".to_string(),
        _ => format!("cannot be read: {error}"),
    })
}

/// `<f4`, `|b1`, ... and whether it is big-endian.
fn number(descr: &str) -> Result<(Number, bool), String> {
    let (order, kind) = match descr.as_bytes() {
        [order @ (b'<' | b'>' | b'|' | b'='), ..] => (*order, descr.get(1..).unwrap_or_default()),
        _ => (b'=', descr),
    };
    let number = match kind {
        "f2" => Number::F16,
        "f4" => Number::F32,
        "f8" => Number::F64,
        "i1" => Number::I8,
        "i2" => Number::I16,
        "i4" => Number::I32,
        "i8" => Number::I64,
        "u1" => Number::U8,
        "u2" => Number::U16,
        "u4" => Number::U32,
        "u8" => Number::U64,
        "b1" => Number::Bool,
        _ if kind.starts_with('O') => {
            return Err(
                "holds Python objects (pickled), which are never loaded; save plain numbers, \
                        for example x.astype(\"float32\")"
                    .into(),
            );
        }
        _ => {
            return Err(format!(
                "holds elements of type `{descr}`; only numbers can be read (f2, f4, f8, i1 to i8, \
                 u1 to u8, b1): convert with x.astype(\"float32\")"
            ));
        }
    };
    let big_endian = order == b'>' || (order == b'=' && cfg!(target_endian = "big"));
    Ok((number, big_endian))
}

/// `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`, the keys in any order.
fn dictionary(text: &str) -> Result<(String, bool, Vec<usize>), String> {
    let mut literal = Literal { rest: text };
    let (mut descr, mut fortran, mut shape) = (None, None, None);
    literal.expect('{')?;
    while !literal.eat('}') {
        let key = literal.string()?;
        literal.expect(':')?;
        match key {
            "descr" if literal.peek() == Some('[') => {
                return Err(
                    "holds records of several fields; save one array of plain numbers".into()
                );
            }
            "descr" => descr = Some(literal.string()?.to_string()),
            "fortran_order" => fortran = Some(literal.boolean()?),
            "shape" => shape = Some(literal.tuple()?),
            other => return Err(format!("has a header with the unknown key `{other}`")),
        }
        if !literal.eat(',') && literal.peek() != Some('}') {
            return Err(literal.wrong("`,` or `}`"));
        }
    }
    if let Some(found) = literal.peek() {
        return Err(format!("has a header with `{found}` after its end"));
    }
    let missing = |key: &str| format!("has a header without `{key}`");
    Ok((
        descr.ok_or_else(|| missing("descr"))?,
        fortran.ok_or_else(|| missing("fortran_order"))?,
        shape.ok_or_else(|| missing("shape"))?,
    ))
}

/// The few Python literals a header is made of.
struct Literal<'a> {
    rest: &'a str,
}

impl<'a> Literal<'a> {
    fn peek(&mut self) -> Option<char> {
        self.rest = self.rest.trim_start();
        self.rest.chars().next()
    }

    fn eat(&mut self, wanted: char) -> bool {
        self.peek();
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, wanted: char) -> Result<(), String> {
        if self.eat(wanted) { Ok(()) } else { Err(self.wrong(&format!("`{wanted}`"))) }
    }

    fn wrong(&self, wanted: &str) -> String {
        let found: String = self.rest.chars().take(20).collect();
        format!("has a corrupted header: expected {wanted}, found {found:?}")
    }

    fn string(&mut self) -> Result<&'a str, String> {
        let quote = if self.eat('\'') { '\'' } else { '"' };
        if quote == '"' {
            self.expect('"')?;
        }
        let (text, rest) = self.rest.split_once(quote).ok_or_else(|| self.wrong("a string"))?;
        self.rest = rest;
        Ok(text)
    }

    fn boolean(&mut self) -> Result<bool, String> {
        self.peek();
        for (text, value) in [("True", true), ("False", false)] {
            if let Some(rest) = self.rest.strip_prefix(text) {
                self.rest = rest;
                return Ok(value);
            }
        }
        Err(self.wrong("True or False"))
    }

    fn tuple(&mut self) -> Result<Vec<usize>, String> {
        let mut axes = Vec::new();
        self.expect('(')?;
        while !self.eat(')') {
            self.peek();
            let end = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
            let (digits, rest) = self.rest.split_at(end);
            axes.push(digits.parse().map_err(|_| self.wrong("the length of an axis"))?);
            // Python 2 wrote long integers as `3L`.
            self.rest = rest.strip_prefix('L').unwrap_or(rest);
            if axes.len() > 32 {
                return Err("has more than 32 axes".into());
            }
            if !self.eat(',') && self.peek() != Some(')') {
                return Err(self.wrong("`,` or `)`"));
            }
        }
        Ok(axes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Python writes tuples: one of one member has a comma.
    #[test]
    fn shapes_are_written_as_tuples() {
        for (shape, text) in [
            (&[][..], "'shape': (), }"),
            (&[3], "'shape': (3,), }"),
            (&[2, 3], "'shape': (2, 3), }"),
        ] {
            let bytes = written("<f4", shape);
            let header = String::from_utf8_lossy(&bytes);
            assert!(header.contains(text), "{header}");
            assert!(bytes.len().is_multiple_of(64) && header.ends_with('\n'));
        }
    }

    #[test]
    fn dictionaries_in_any_order_and_spacing() {
        let text = "{\"shape\":(3L,4),'fortran_order' : True,'descr':'<f4'}   \n";
        assert_eq!(dictionary(text).unwrap(), ("<f4".into(), true, vec![3, 4]));
        let text = "{'descr': '|b1', 'fortran_order': False, 'shape': (), }\n";
        assert_eq!(dictionary(text).unwrap(), ("|b1".into(), false, vec![]));
    }

    #[test]
    fn corrupted_dictionaries_say_where() {
        for (text, expected) in [
            ("", "expected `{`, found \"\""),
            ("{", "expected `\"`"),
            ("{'descr': '<f4', 'shape': (3,)}", "without `fortran_order`"),
            ("{'descr': '<f4' 'shape'", "expected `,` or `}`, found \"'shape'\""),
            ("{'fortran_order': 1}", "expected True or False"),
            ("{'shape': (-1,)}", "expected the length of an axis, found \"-1,)}\""),
            ("{'shape': (99999999999999999999999,)}", "expected the length of an axis"),
            ("{'shape': ((1,),)}", "expected the length of an axis"),
            ("{'shape': (1,2", "expected `,` or `)`"),
            ("{'what': 1}", "unknown key `what`"),
            ("{'descr': [('a', '<i4')]}", "records"),
            ("{'descr': '<f4", "expected a string"),
            (&format!("{{'shape': ({})}}", "1,".repeat(40)), "more than 32 axes"),
        ] {
            let error = dictionary(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
