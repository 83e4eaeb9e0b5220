//! File names with values in them: Python's `str.format` for numbers, as Keras's users write it.

use super::python_float;
use crate::history::Logs;
use sconce_core::registry::unknown;
use sconce_core::{Error, Result};

/// A name such as `{epoch:02d}-{val_loss:.2f}.keras`, taken apart.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct FileName(Vec<Piece>);

#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Text(String),
    Field { name: String, spec: Spec },
}

/// `[[fill]align][+][0][width][.precision][type]`.
#[derive(Clone, Debug, PartialEq)]
struct Spec {
    fill: char,
    /// `<`, `>`, `^`, or `=`: between sign and digits.
    align: char,
    plus: bool,
    width: usize,
    precision: Option<usize>,
    /// `d`, `f`, `e`, `%`, or none.
    kind: Option<char>,
}

/// The widest field and the most decimals.
const MOST: usize = 99;

impl FileName {
    /// Takes a name apart; `names` are the values that it can hold.
    pub fn parse(text: &str, names: &[&str]) -> Result<Self> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let (brace, after) = rest[at..].split_at(1);
            if after.starts_with(brace) {
                literal.push_str(brace);
                rest = &after[1..];
                continue;
            }
            let (field, after) = match (brace, after.split_once('}')) {
                ("{", Some(found)) => found,
                _ => {
                    return Err(Error::config(
                        "",
                        format!(
                            "`{text}` has a single `{brace}`; write `{brace}{brace}` for one in the name"
                        ),
                    ));
                }
            };
            let (name, spec) = field.split_once(':').unwrap_or((field, ""));
            if !names.contains(&name) {
                return Err(Error::config("", unknown("value", name, names.iter().copied())));
            }
            let spec = Spec::parse(spec).ok_or_else(|| {
                Error::config(
                    "",
                    format!(
                        "`{spec}` in `{text}` is not a format such as `02d`, `.2f`, `.1e` or `.1%`"
                    ),
                )
            })?;
            if name != "epoch" && name != "batch" && spec.kind == Some('d') {
                return Err(Error::config(
                    "",
                    format!("`{name}` in `{text}` is not an integer; use a format such as `.2f`"),
                ));
            }
            if !literal.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut literal)));
            }
            pieces.push(Piece::Field { name: name.to_string(), spec });
            rest = after;
        }
        literal.push_str(rest);
        pieces.push(Piece::Text(literal));
        Ok(Self(pieces))
    }

    /// The name with its values. `epoch` and `batch` count from 1, as in Keras.
    pub fn format(&self, epoch: usize, batch: usize, logs: &Logs) -> String {
        let mut out = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Field { name, spec } => out.push_str(&match name.as_str() {
                    "epoch" => spec.integer(epoch),
                    "batch" => spec.integer(batch),
                    // An epoch without validation has no value.
                    name => spec.float(logs.get(name).unwrap_or(f64::NAN)),
                }),
            }
        }
        out
    }
}

impl Spec {
    fn parse(text: &str) -> Option<Self> {
        let chars: Vec<char> = text.chars().collect();
        let is_align = |at: usize| chars.get(at).is_some_and(|c| "<>^=".contains(*c));
        let mut spec =
            Self { fill: ' ', align: '>', plus: false, width: 0, precision: None, kind: None };
        let mut at = 0;
        let mut aligned = true;
        match (chars.first(), chars.get(1)) {
            (Some(fill), Some(align)) if is_align(1) => {
                (spec.fill, spec.align, at) = (*fill, *align, 2)
            }
            (Some(align), _) if is_align(0) => (spec.align, at) = (*align, 1),
            _ => aligned = false,
        }
        if let Some(sign @ ('+' | '-')) = chars.get(at) {
            spec.plus = *sign == '+';
            at += 1;
        }
        if chars.get(at) == Some(&'0') {
            spec.fill = '0';
            at += 1;
            if !aligned {
                spec.align = '=';
            }
        }
        let number = |at: &mut usize| -> Option<usize> {
            let digits: String =
                chars.iter().skip(*at).take_while(|c| c.is_ascii_digit()).collect();
            *at += digits.len();
            digits.parse().ok()
        };
        spec.width = number(&mut at).unwrap_or(0);
        if chars.get(at) == Some(&'.') {
            at += 1;
            spec.precision = Some(number(&mut at)?);
        }
        if let Some(kind @ ('d' | 'f' | 'e' | '%')) = chars.get(at) {
            spec.kind = Some(*kind);
            at += 1;
        }
        let fits = spec.width <= MOST && spec.precision.unwrap_or(0) <= MOST;
        let exact = spec.precision.is_none() || matches!(spec.kind, Some('f' | 'e' | '%'));
        (at == chars.len() && fits && exact).then_some(spec)
    }

    fn integer(&self, value: usize) -> String {
        match self.kind {
            None | Some('d') => self.pad(&value.to_string()),
            Some(_) => self.float(value as f64),
        }
    }

    fn float(&self, value: f64) -> String {
        let decimals = self.precision.unwrap_or(6);
        if !value.is_finite() {
            let percent = if self.kind == Some('%') { "%" } else { "" };
            return self.pad(&format!("{}{percent}", python_float::repr(value)));
        }
        self.pad(&match self.kind {
            Some('f') => format!("{value:.decimals$}"),
            Some('%') => format!("{:.decimals$}%", value * 100.0),
            Some('e') => python_float::exponent(&format!("{value:.decimals$e}")),
            _ => python_float::repr(value),
        })
    }

    fn pad(&self, number: &str) -> String {
        let (sign, digits) = match number.strip_prefix('-') {
            Some(digits) => ("-", digits),
            None if self.plus => ("+", number),
            None => ("", number),
        };
        let missing = self.width.saturating_sub(sign.len() + digits.len());
        let fill = |n: usize| self.fill.to_string().repeat(n);
        match self.align {
            '<' => format!("{sign}{digits}{}", fill(missing)),
            '^' => format!("{}{sign}{digits}{}", fill(missing / 2), fill(missing - missing / 2)),
            '=' => format!("{sign}{}{digits}", fill(missing)),
            _ => format!("{}{sign}{digits}", fill(missing)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(text: &str) -> Result<String> {
        let logs = Logs(vec![("loss".into(), 0.123456), ("val_loss".into(), -2.5e-9)]);
        Ok(FileName::parse(text, &["epoch", "batch", "loss", "val_loss"])?.format(7, 30, &logs))
    }

    /// What Python prints.
    #[test]
    fn numbers_are_python_s() {
        for (text, expected) in [
            ("plain.keras", "plain.keras"),
            ("{epoch}", "7"),
            ("{epoch:02d}-{loss:.2f}.keras", "07-0.12.keras"),
            ("{batch:>5}|{batch:<5}|{batch:^5}|{batch:*^5d}", "   30|30   | 30  |*30**"),
            ("{loss}", "0.123456"),
            ("{loss:f} {loss:e} {loss:.1%}", "0.123456 1.234560e-01 12.3%"),
            ("{val_loss:.1e} {val_loss:+.2f} {loss:+08.2f}", "-2.5e-09 -0.00 +0000.12"),
            ("{epoch:.1f}{{x}}", "7.0{x}"),
        ] {
            assert_eq!(format(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_formatted_is_refused() {
        for (text, message) in [
            ("{val_los:.2f}", "unknown value `val_los`. Did you mean `val_loss`?"),
            ("{loss:02d}", "`loss` in `{loss:02d}` is not an integer"),
            ("{loss:.2q}", "`.2q` in"),
            ("{loss:.2}", "`.2` in"),
            ("{loss:9999999999f}", "is not a format such as"),
            ("{loss", "has a single `{`"),
            ("loss}", "write `}}` for one"),
        ] {
            let error = format(text).unwrap_err().to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
    }
}
