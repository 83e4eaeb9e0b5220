//! The words every other room of Sconce speaks: errors, shapes, devices, random numbers, the
//! registry of named parts, weights and the call context. Nothing here computes a layer.

pub mod args;
pub mod atomic;
pub mod axes;
pub mod config;
pub mod context;
pub mod custom_objects;
pub mod device;
pub mod dims;
pub mod error;
pub mod few;
mod file_set;
mod fingerprint;
pub mod finite;
pub mod json;
pub mod names;
mod part;
pub mod policy;
pub mod random;
pub mod registry;
pub mod schema;
pub mod tape;
pub mod value;
pub mod weight;

pub use args::{Arg, Args, Spec, Value};
pub use axes::Axes;
pub use candle_core::{DType, Device, Tensor, Var};
pub use config::{Config, Registered};
pub use context::{Carried, Context};
pub use custom_objects::CustomObjects;
pub use dims::Dims;
pub use error::{Error, Result};
pub use file_set::FileSet;
pub use fingerprint::Fingerprint;
pub use json::Json;
pub use part::Part;
pub use policy::DTypePolicy;
pub use random::Stream;
pub use registry::{Entry, Holds, Kind};
/// The derive macros of the traits [`Config`](trait@Config) and [`ConfigValue`](trait@ConfigValue).
pub use sconce_derive::{Config, ConfigValue};
pub use tape::{GradientSink, Tape, gradients};
pub use value::ConfigValue;
pub use weight::{
    Constraint, FirstValues, Gradients, Initializer, Parameter, Regularizer, Store, Weight,
    WeightSpec,
};
