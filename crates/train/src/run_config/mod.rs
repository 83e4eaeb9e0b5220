//! Run configurations: a whole training run as one JSON document, what `sconce train` reads.
//!
//! Separation of concerns: this file is the document and how it is read; `sections` are its parts;
//! `schema` describes registries to JSON Schema; `run` carries it out; `standardize` puts a
//! Normalization layer at the head of the model.
//!
//! ```no_run
//! use sconce_train::run_config::RunConfig;
//!
//! # fn main() -> sconce_core::Result<()> {
//! let config = RunConfig::from_file("configs/digits.json")?;
//! let mut run = config.prepare(&sconce_core::Device::Cpu)?;
//! println!("{}", run.model.summary()?);
//! let outcome = run.train()?;
//! println!("{:?}", outcome.validation);
//! # Ok(()) }
//! ```

mod run;
mod schema;
mod sections;
mod standardize;
#[cfg(test)]
mod tests;

pub use run::{Outcome, PreparedRun, load_model};
pub use sections::{
    CompileSection, DataSection, FitSection, ModelSource, OutputSection, ShuffleSpec,
};

use crate::callbacks::CallbackPart;
use schemars::JsonSchema;
use sconce_core::{Error, Json, Result, json};
use sconce_saving::keras_json;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A training run. Paths are relative to the current directory; keys left out take Keras's defaults.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// The model.
    pub model: ModelSource,
    /// How it learns. Left out, a `.keras` file's own compile state and optimizer variables go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::compile")]
    pub compile: Option<CompileSection>,
    /// What it learns from.
    pub data: DataSection,
    /// How long and in what order it learns.
    #[serde(default)]
    pub fit: FitSection,
    /// What watches and steers the run: `{"class_name": "EarlyStopping", "config": {"patience": 3}}`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::callbacks")]
    pub callbacks: Vec<CallbackPart>,
    /// What it leaves behind.
    #[serde(default)]
    pub output: OutputSection,
    /// The file that the configuration was read from, which no output may replace.
    #[serde(skip)]
    pub file: Option<PathBuf>,
}

impl RunConfig {
    /// Reads a configuration from JSON.
    ///
    /// # Errors
    /// With the JSON path of what is unknown, missing or wrong, and the nearest valid name.
    pub fn from_json(value: &Json) -> Result<Self> {
        json::parse(value.clone())
    }

    /// Reads a configuration from a file.
    ///
    /// # Errors
    /// As [`RunConfig::from_json`], with file and line.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        let (text, value) = read_json(path.as_ref())?;
        let config = Self::from_json(&value).map_err(|e| e.in_file(&path, &text))?;
        Ok(Self { file: Some(path.as_ref().to_path_buf()), ..config })
    }

    /// The JSON Schema of configurations, made from the types that parse them.
    pub fn schema() -> Json {
        schemars::schema_for!(RunConfig).to_value()
    }
}

/// The text of a JSON file, and the document in it.
///
/// # Errors
/// A file that cannot be read, or is not JSON: with the line.
pub fn read_json(path: &Path) -> Result<(String, Json)> {
    let bytes =
        std::fs::read(path).map_err(|e| Error::file(path, format!("cannot be read: {e}")))?;
    let text = match String::from_utf8(bytes) {
        // Windows' editors begin a file with a byte order mark, which is no part of the text.
        Ok(text) => match text.strip_prefix('\u{feff}') {
            Some(rest) => rest.to_string(),
            None => text,
        },
        Err(error) => {
            let utf16 = error.as_bytes().starts_with(b"\xff\xfe")
                || error.as_bytes().starts_with(b"\xfe\xff");
            let found = if utf16 { "is in UTF-16" } else { "is no text in UTF-8" };
            return Err(Error::file(path, format!("{found}; save it in UTF-8")));
        }
    };
    let value = keras_json::parse(text.as_bytes()).map_err(|e| Error::Config {
        file: Some(path.to_path_buf()),
        line: Some(e.line()),
        path: String::new(),
        message: format!("this is not JSON: {e}"),
    })?;
    Ok((text, value))
}
