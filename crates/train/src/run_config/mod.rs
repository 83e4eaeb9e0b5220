//! Run configurations: a whole training run as one JSON document, what `sconce train` reads.
//!
//! Separation of concerns: this file is the document and how it is read; `sections` are its parts;
//! `run` carries it out; `standardize` puts a Normalization layer at the head of the model.
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
mod sections;
mod standardize;
#[cfg(test)]
mod tests;

pub use run::{KERAS_ENDINGS, Outcome, PreparedRun, load_model};
pub use sections::{CheckpointSetting, DataSection, FitSection, ModelSource, OutputSection};

use crate::callbacks::CallbackPart;
use crate::compile::Compile;
use sconce_core::{Config, Error, Json, Result, config, schema};
use sconce_saving::keras_json;
use std::path::{Path, PathBuf};

/// A training run. Paths are relative to the current directory; keys left out take Keras's defaults.
#[derive(Clone, Debug, Config)]
#[config(serde)]
pub struct RunConfig {
    /// The JSON Schema that editors check the document by (`sconce schema` writes it). It is not read.
    #[config(key = "$schema", read_only)]
    pub schema: Option<String>,
    /// The model.
    pub model: ModelSource,
    /// How it learns. Left out, a `.keras` file's own compile state and optimizer variables go on.
    #[config(skip_none)]
    pub compile: Option<Compile>,
    /// What it learns from.
    pub data: DataSection,
    /// How long and in what order it learns.
    #[config(default)]
    pub fit: FitSection,
    /// What watches and steers the run: `{"class_name": "EarlyStopping", "config": {"patience": 3}}`.
    #[config(default)]
    pub callbacks: Vec<CallbackPart>,
    /// What it leaves behind.
    #[config(default)]
    pub output: OutputSection,
    /// Where checkpoints are written, and when: `sconce train --resume` goes on from the newest. Left out,
    /// one after each epoch beside `output.model`; `false`: none.
    #[config(default)]
    pub checkpoint: CheckpointSetting,
    /// The file that the configuration was read from, which no output may replace.
    #[config(skip)]
    pub file: Option<PathBuf>,
}

impl RunConfig {
    /// Reads a configuration from JSON.
    ///
    /// # Errors
    /// With the JSON path of what is unknown, missing or wrong, and the nearest valid name.
    pub fn from_json(value: &Json) -> Result<Self> {
        config::value_from_json(value)
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
        schema::document(|definitions| definitions.config::<Self>())
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
        message: keras_json::explain_syntax(&e),
    })?;
    Ok((text, value))
}
