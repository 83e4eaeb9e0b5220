//! Layers that prepare data.

mod rescaling;

pub use rescaling::Rescaling;
