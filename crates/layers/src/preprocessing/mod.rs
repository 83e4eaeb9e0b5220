//! Layers that prepare data.

mod normalization;
mod rescaling;

pub use normalization::Normalization;
pub use rescaling::Rescaling;
