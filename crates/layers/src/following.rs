//! What a layer does for those after it in prediction, so that their passes over the memory fall away: a
//! convolution normalizes and activates its results.

use sconce_core::{Result, Tensor};
use sconce_ops::Activation;
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
    /// The factors of the results without a bias.
    pub fn factor(&self) -> Option<&Tensor> {
        self.affine.as_ref().map(|[factor, _]| factor)
    }

    /// The bias that goes with them.
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
