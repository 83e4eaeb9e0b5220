//! One error type. A message says where, what was expected, what came, and what to do.

use std::path::{Path, PathBuf};

/// The result of everything in Sconce that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, and where.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A configuration (JSON or builder) that cannot be used. `path` is a JSON path such as
    /// `model.config.layers[1].config.units`.
    #[error("{}{message}", located(.file, .line, .path))]
    Config {
        /// The file the JSON came from, when there is one.
        file: Option<PathBuf>,
        /// The line in that file, counted from 1, when known.
        line: Option<usize>,
        /// The JSON path; empty for the whole document.
        path: String,
        /// Expected, found, and what to do.
        message: String,
    },
    /// A layer that cannot take what it was given.
    #[error("layer `{layer}`: {message}")]
    Layer {
        /// The layer's path in the model.
        layer: String,
        /// Expected, found, and what to do.
        message: String,
    },
    /// Training, validation or prediction data that cannot be used.
    #[error("{message}")]
    Data {
        /// Which array, expected, found, and what to do.
        message: String,
    },
    /// Training that cannot start or go on.
    #[error("{message}")]
    Training {
        /// Where, what happened, and what to do.
        message: String,
    },
    /// A file that cannot be read or written.
    #[error("{}: {message}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it and what to do.
        message: String,
    },
    /// An error of the tensor runtime.
    #[error("tensor operation failed: {0}")]
    Candle(#[from] candle_core::Error),
}

fn located(file: &Option<PathBuf>, line: &Option<usize>, path: &str) -> String {
    let mut out = String::new();
    if let Some(file) = file {
        out += &file.display().to_string();
        if let Some(line) = line {
            out += &format!(":{line}");
        }
        out += ": ";
    }
    if !path.is_empty() {
        out += &format!("at `{path}`: ");
    }
    out
}

impl Error {
    /// A configuration error at a JSON path (empty: the whole document).
    pub fn config(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Config { file: None, line: None, path: path.into(), message: message.into() }
    }

    /// An error of one layer.
    pub fn layer(layer: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Layer { layer: layer.into(), message: message.into() }
    }

    /// An error of the data given.
    pub fn data(message: impl Into<String>) -> Self {
        Self::Data { message: message.into() }
    }

    /// An error of a training run.
    pub fn training(message: impl Into<String>) -> Self {
        Self::Training { message: message.into() }
    }

    /// An error of one file.
    pub fn file(path: impl AsRef<Path>, message: impl Into<String>) -> Self {
        Self::File { path: path.as_ref().to_path_buf(), message: message.into() }
    }

    /// Puts `prefix` before the JSON path of a configuration error (`prefix.path`), so that each
    /// level of a document only knows its own part of the way.
    pub fn under(self, prefix: &str) -> Self {
        match self {
            Self::Config { file, line, path, message } => {
                let path = match (prefix.is_empty(), path.is_empty()) {
                    (true, _) => path,
                    (_, true) => prefix.to_string(),
                    _ if path.starts_with('[') => format!("{prefix}{path}"),
                    _ => format!("{prefix}.{path}"),
                };
                Self::Config { file, line, path, message }
            }
            other => other,
        }
    }

    /// Names the file a configuration error came from, and finds the line of its JSON path in the
    /// text of that file.
    pub fn in_file(self, name: impl AsRef<Path>, text: &str) -> Self {
        match self {
            Self::Config { file: None, line: _, path, message } => Self::Config {
                file: Some(name.as_ref().to_path_buf()),
                line: crate::json::line_of(text, &path),
                path,
                message,
            },
            other => other,
        }
    }

    /// Names the layer an unnamed shape error belongs to (layers do not know their own path).
    pub fn in_layer(self, name: &str) -> Self {
        match self {
            Self::Layer { layer, message } if layer.is_empty() => {
                Self::Layer { layer: name.to_string(), message }
            }
            Self::Candle(error) => Self::Layer {
                layer: name.to_string(),
                message: format!("tensor operation failed: {error}"),
            },
            other => other,
        }
    }

    /// Whether the user's usage or configuration is at fault (exit code 2 of the command).
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Config { .. })
    }
}

/// Lets our errors travel through candle's custom operations.
impl From<Error> for candle_core::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Candle(error) => error,
            other => candle_core::Error::wrap(other),
        }
    }
}

/// Brings back an error of ours that travelled through candle, else wraps candle's own.
pub fn from_candle(error: candle_core::Error) -> Error {
    match error {
        candle_core::Error::Wrapped(inner) => Error::training(inner.to_string()),
        candle_core::Error::WithBacktrace { inner, .. } => from_candle(*inner),
        other => Error::Candle(other),
    }
}
