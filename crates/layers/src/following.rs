//! What a layer does for those after it in prediction, so that their passes over the memory fall away: a
//! convolution normalizes and activates its results.

use sconce_core::{Result, Tensor};
use sconce_ops::{Activation, scaled_rows};
use std::sync::Arc;

/// The layers after one, as far as it runs them too.
#[derive(Clone, Default)]
pub struct Following {
    /// A factor and a shift for each channel, the last axis of the results: `y = factor x + shift`.
    pub affine: Option<[Tensor; 2]>,
    /// An elementwise function of that.
    pub activation: Option<Arc<dyn Activation>>,
}

impl Following {
    /// A kernel, of which the last values in a row are those of the channels, times the factors.
    pub fn kernel(&self, kernel: Tensor) -> Result<Tensor> {
        match &self.affine {
            Some([factor, _]) => Ok(scaled_rows(&kernel, factor)?),
            None => Ok(kernel),
        }
    }

    /// The bias that goes with it.
    pub fn bias(&self, bias: Option<Tensor>) -> Result<Option<Tensor>> {
        match (&self.affine, bias) {
            (Some([factor, shift]), Some(bias)) => Ok(Some(((bias * factor)? + shift)?)),
            (Some([_, shift]), None) => Ok(Some(shift.clone())),
            (None, bias) => Ok(bias),
        }
    }

    /// The function of a layer whose own is `own`.
    pub fn activation<'a>(&'a self, own: &'a Arc<dyn Activation>) -> &'a Arc<dyn Activation> {
        self.activation.as_ref().unwrap_or(own)
    }
}
