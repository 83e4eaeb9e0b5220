//! Keras's layers, activations, initializers, regularizers and constraints.
//!
//! One layer is one short file: its configuration, which is Keras's, its shapes, its weights, its
//! maths, its tests, and one line in the table below.

mod constant_value;
pub mod constraints;
pub mod core;
mod fields;
pub mod initializers;
pub mod layer;
pub mod preprocessing;
#[cfg(test)]
mod registry_case;
pub mod regularization;
pub mod regularizers;
pub mod reshaping;
mod seed;

pub use crate::core::{Activation, Dense, Identity, InputLayer};
pub use crate::preprocessing::Rescaling;
pub use crate::regularization::Dropout;
pub use crate::reshaping::{Flatten, Reshape};
pub use constant_value::ConstantValue;
pub use layer::{Base, Configured, Layer, LayerExt, Layers};
pub use sconce_ops::activations;

layers! {
    Activation,
    Dense,
    Dropout,
    Flatten,
    Identity,
    Rescaling,
    Reshape,
}
