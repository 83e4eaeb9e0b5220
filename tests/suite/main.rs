//! The end-to-end tests, in one binary.

mod keras_files;
mod styles;
