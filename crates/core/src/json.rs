//! Reading configurations: serde with paths, nearest keys, and lines.

use crate::{Error, Result};
use serde::de::DeserializeOwned;

/// A JSON document; objects keep the order of their keys.
pub type Json = serde_json::Value;

/// The members of a JSON object, in order.
pub type Map = serde_json::Map<String, Json>;

/// A value as messages show it: cut where it is long.
pub fn shown(value: &Json) -> String {
    const LONGEST: usize = 80;
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// Keras's key for an object that stands in several places of a document.
pub const SHARED_OBJECT_ID: &str = "shared_object_id";

/// The keys of an object as Keras serializes it.
pub const OBJECT_KEYS: [&str; 7] = [
    "module",
    "class_name",
    "config",
    "registered_name",
    "build_config",
    "compile_config",
    SHARED_OBJECT_ID,
];

/// Refuses keys that are not known, with the nearest that is.
pub fn only_keys(map: &Map, known: &[&str]) -> Result<()> {
    match map.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => {
            let message = crate::registry::unknown("key", key, known.iter().copied());
            Err(Error::config(key, message))
        }
    }
}

/// Reads `T` from a JSON value. An error carries the JSON path, and for an unknown key the nearest
/// known one.
pub fn parse<T: DeserializeOwned>(value: Json) -> Result<T> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = match error.path().to_string() {
            path if path == "." => String::new(),
            path => path,
        };
        let message = error.into_inner().to_string();
        let (path, message) = nested(path, message);
        Error::config(path, explain(&message))
    })
}

/// An error of a part inside a part arrives as text, its own path written "at `path`: " in front.
fn nested(path: String, message: String) -> (String, String) {
    if let Some(rest) = message.strip_prefix("at `")
        && let Some((inner, rest)) = rest.split_once("`: ")
    {
        let joined = if path.is_empty() { inner.to_string() } else { format!("{path}.{inner}") };
        return (joined, rest.to_string());
    }
    (path, message)
}

/// Adds the nearest known name to serde's "unknown field" and "unknown variant".
fn explain(message: &str) -> String {
    for what in ["field", "variant"] {
        let Some(rest) = message.strip_prefix(&format!("unknown {what} `")) else { continue };
        let Some((name, known)) = rest.split_once('`') else { continue };
        let known: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
        let what = if what == "field" { "key" } else { "value" };
        return crate::registry::unknown(what, name, known);
    }
    for start in ["invalid type: ", "invalid value: "] {
        let Some(rest) = message.strip_prefix(start) else { continue };
        let Some((found, expected)) = rest.split_once(", expected ") else { continue };
        return format!(
            "expected {}, found {}",
            expected_in_words(expected),
            found_in_words(found)
        );
    }
    message.to_string()
}

/// What serde expected, without names of Rust's types.
fn expected_in_words(expected: &str) -> &str {
    match expected {
        "usize" | "u64" | "u32" | "u16" | "u8" => "a whole number of at least 0",
        "isize" | "i64" | "i32" | "i16" | "i8" => "a whole number",
        "f64" | "f32" => "a number",
        "a boolean" => "true or false",
        "path string" | "string" => "a string",
        "a sequence" => "a list",
        "a map" => "an object",
        other if other.starts_with("struct ") => "an object",
        other => other,
    }
}

/// What serde found, as it stands in the document.
fn found_in_words(found: &str) -> String {
    let (kind, value) = found.split_once(' ').unwrap_or((found, ""));
    match (kind, value) {
        ("string", text) => text.to_string(),
        ("integer" | "boolean", value) => value.trim_matches('`').to_string(),
        ("floating", value) => value.trim_start_matches("point ").trim_matches('`').to_string(),
        ("sequence", _) => "a list".into(),
        ("map", _) => "an object".into(),
        _ => found.to_string(),
    }
}

/// The line (from 1) on which the value at a JSON path such as `a.b[2].c` starts, or the nearest
/// enclosing value that exists. `None` if the text is not JSON up to there.
pub fn line_of(text: &str, path: &str) -> Option<usize> {
    let mut scanner = Scanner { text: text.as_bytes(), at: 0 };
    scanner.space();
    let mut found = scanner.at;
    for step in steps(path) {
        match scanner.enter(&step) {
            Some(at) => found = at,
            None => break,
        }
    }
    Some(text.get(..found)?.bytes().filter(|b| *b == b'\n').count() + 1)
}

enum Step {
    Key(String),
    Index(usize),
}

fn steps(path: &str) -> Vec<Step> {
    let mut out = Vec::new();
    for part in path.split('.').filter(|p| !p.is_empty()) {
        let (key, indices) = part.split_once('[').map_or((part, ""), |(k, i)| (k, i));
        if !key.is_empty() {
            out.push(Step::Key(key.to_string()));
        }
        for index in indices.split('[').filter_map(|i| i.trim_end_matches(']').parse().ok()) {
            out.push(Step::Index(index));
        }
    }
    out
}

/// Walks JSON text just far enough to find a value's place. Every loop advances or stops.
struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn space(&mut self) {
        while self.peek().is_some_and(|b| b.is_ascii_whitespace() || b == b',' || b == b':') {
            self.at += 1;
        }
    }

    fn string(&mut self) -> Option<String> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek()? {
                b'\\' => self.at += 2,
                b'"' => {
                    self.at += 1;
                    return serde_json::from_slice(self.text.get(start..self.at)?).ok();
                }
                _ => self.at += 1,
            }
        }
    }

    fn skip_value(&mut self) -> Option<()> {
        let mut depth = 0usize;
        loop {
            self.space();
            match self.peek()? {
                b'"' => {
                    self.string()?;
                }
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.at += 1;
                }
                _ => {
                    while self
                        .peek()
                        .is_some_and(|b| !b.is_ascii_whitespace() && !b",:]}".contains(&b))
                    {
                        self.at += 1;
                    }
                }
            }
            if depth == 0 {
                return Some(());
            }
        }
    }

    /// Moves to the member of the value at the scanner, and returns where it (or its key) starts.
    fn enter(&mut self, step: &Step) -> Option<usize> {
        let open = self.peek()?;
        self.at += 1;
        let mut index = 0;
        loop {
            self.space();
            let start = self.at;
            match (open, step) {
                (b'{', Step::Key(wanted)) => {
                    if self.peek()? != b'"' {
                        return None;
                    }
                    let key = self.string()?;
                    self.space();
                    if key == *wanted {
                        return Some(start);
                    }
                }
                (b'[', Step::Index(wanted)) => {
                    if self.peek()? == b']' {
                        return None;
                    }
                    if index == *wanted {
                        return Some(start);
                    }
                    index += 1;
                }
                _ => return None,
            }
            self.skip_value()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn messages_are_without_names_of_types() {
        #[derive(Debug, serde::Deserialize)]
        #[allow(dead_code, reason = "only read")]
        struct Values {
            #[serde(default)]
            count: usize,
            #[serde(default)]
            rate: f64,
            #[serde(default)]
            flag: bool,
            #[serde(default)]
            file: std::path::PathBuf,
            #[serde(default)]
            list: Vec<i64>,
        }
        for (value, message) in [
            (
                json!({"count": "many"}),
                "at `count`: expected a whole number of at least 0, found \"many\"",
            ),
            (json!({"count": -1}), "at `count`: expected a whole number of at least 0, found -1"),
            (json!({"count": 0.5}), "at `count`: expected a whole number of at least 0, found 0.5"),
            (json!({"rate": true}), "at `rate`: expected a number, found true"),
            (json!({"flag": [1]}), "at `flag`: expected true or false, found a list"),
            (json!({"file": {}}), "at `file`: expected a string, found an object"),
            (json!({"list": {}}), "at `list`: expected a list, found an object"),
            (json!({"list": [null]}), "at `list[0]`: expected a whole number, found null"),
        ] {
            assert_eq!(parse::<Values>(value).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn lines_are_found() {
        let text = "{\n  \"model\": {\n    \"layers\": [\n      {\"units\": 1},\n      {\"units\": \"x\\\"}\",\n       \"act\": 2}\n    ]\n  }\n}\n";
        assert_eq!(line_of(text, ""), Some(1));
        assert_eq!(line_of(text, "model"), Some(2));
        assert_eq!(line_of(text, "model.layers[0].units"), Some(4));
        assert_eq!(line_of(text, "model.layers[1].act"), Some(6));
        assert_eq!(line_of(text, "model.layers[7].act"), Some(3));
        assert_eq!(line_of("{\"a\": [", "a[0].b"), Some(1));
    }
    /// Configurations and histories hold every bit of a number (serde_json needs a feature for it).
    #[test]
    fn numbers_are_read_exactly() {
        let mut stream = crate::Stream::named(0, "numbers");
        for _ in 0..2000 {
            let number = stream.normal() * 1e-3;
            let read: f64 = serde_json::from_str(&number.to_string()).unwrap();
            assert_eq!(read.to_bits(), number.to_bits());
        }
    }
}
