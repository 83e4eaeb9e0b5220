//! The words every other room of Sconce speaks: errors, shapes, devices, random numbers, the
//! registry of named parts, weights and the call context. Nothing here computes a layer.

pub mod atomic;
pub mod context;
pub mod device;
pub mod dims;
pub mod error;
pub mod json;
pub mod names;
pub mod random;
pub mod registry;
pub mod tape;
pub mod weight;

pub use candle_core::{DType, Device, Tensor, Var};
pub use context::Context;
pub use dims::Dims;
pub use error::{Error, Result};
pub use json::Json;
pub use random::Stream;
pub use registry::{Entry, Kind, Part};
pub use tape::Tape;
pub use weight::{
    Constraint, GradientSlot, Gradients, Initializer, Parameter, Regularizer, Store, WeightSpec,
    Weights,
};
