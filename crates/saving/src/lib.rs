//! Files of models: Keras's `.keras` archives, `.weights.h5`, the older `.h5` and safetensors, as JSON
//! documents and named arrays. This room knows what a file looks like; it does not know how a model trains.
//!
//! Separation of concerns: [`Array`] and [`NamedTensors`] are what files hold; [`KerasArchive`],
//! [`NamedTensors::read_h5`], [`LayerWeights`] and [`SafetensorsFile`] are the file formats; [`ModelFile`]
//! is a whole model from a file of any Keras; [`paths`] knows where Keras
//! puts things inside them; [`keras_json`] refuses documents that hold what is not supported; [`atomic`] is how any file is written.

mod archive;
mod array;
mod first_error;
mod h5;
mod h5_types;
mod hard_sigmoid;
pub mod keras_json;
mod layouts;
mod legacy_h5;
pub mod legacy_weights;
mod metadata;
pub mod model_file;
mod named;
pub mod network;
mod outline;
pub mod paths;
mod safetensors_file;

pub use archive::KerasArchive;
pub use array::{Array, Element};
pub use legacy_h5::LayerWeights;
pub use metadata::KERAS_VERSION;
pub use model_file::{ModelFile, StoredWeights};
pub use named::NamedTensors;
pub use outline::outline;
pub use safetensors_file::SafetensorsFile;
pub use sconce_core::atomic;
