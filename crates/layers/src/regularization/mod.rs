//! Layers that only act in training, against overfitting.

mod dropout;

pub use dropout::Dropout;
