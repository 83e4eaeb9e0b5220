//! Layers that make one tensor of several.

mod concatenate;
mod custom_scale_layer;
mod dot;
mod elementwise;

pub use concatenate::Concatenate;
pub use custom_scale_layer::CustomScaleLayer;
pub use dot::Dot;
pub use elementwise::{Add, Average, Maximum, Minimum, Multiply, Subtract};

use sconce_core::{Args, Error, Result};

/// The tensors of a merging layer, of which there must be at least one.
fn several<'a, T>(x: &'a Args<T>, class_name: &str) -> Result<Vec<&'a T>> {
    match x.flat() {
        tensors if tensors.is_empty() => {
            let message = format!("{class_name} takes a list of at least one input, got none");
            Err(Error::layer("", message))
        }
        tensors => Ok(tensors),
    }
}

/// The two tensors of a layer that merges exactly two.
fn pair<'a, T>(x: &'a Args<T>, class_name: &str) -> Result<[&'a T; 2]> {
    x.flat().try_into().map_err(|tensors: Vec<&T>| {
        let message = format!("{class_name} takes a list of 2 inputs, got {}", tensors.len());
        Error::layer("", message)
    })
}
