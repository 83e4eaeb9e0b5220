//! Files of models: Keras's `.keras` archives, `.weights.h5` and safetensors, as JSON documents and
//! named arrays. This room knows what a file looks like; it does not know how a model trains.
//!
//! Separation of concerns: [`Array`] and [`NamedTensors`] are what files hold; [`KerasArchive`],
//! [`NamedTensors::read_h5`] and [`SafetensorsFile`] are the file formats; [`paths`] knows where Keras
//! puts things inside them; [`keras_json`] refuses documents that hold what is not supported; [`atomic`] is how any file is written.

mod archive;
mod array;
mod first_error;
mod h5;
mod h5_types;
pub mod keras_json;
mod metadata;
mod named;
pub mod network;
pub mod paths;
mod safetensors_file;

pub use archive::KerasArchive;
pub use array::{Array, Element};
pub use metadata::KERAS_VERSION;
pub use named::NamedTensors;
pub use safetensors_file::SafetensorsFile;
pub use sconce_core::atomic;
