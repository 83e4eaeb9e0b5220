//! Files of models: Keras's `.keras` archives, `.weights.h5` and safetensors, as JSON documents and
//! named arrays. This room knows what a file looks like; it does not know how a model trains.
//!
//! Separation of concerns: [`Array`] and [`NamedTensors`] are what files hold; [`atomic`] is how any
//! file is written; [`SafetensorsFile`] is one file format.

mod array;
mod named;
mod safetensors_file;

pub use array::{Array, Element};
pub use named::NamedTensors;
pub use safetensors_file::SafetensorsFile;
pub use sconce_core::atomic;
