//! RMSNormalization: `y = x / sqrt(mean(x^2) + epsilon) scale`.
//!
//! Zhang and Sennrich, "Root mean square layer normalization", 2019.

use super::{over_axes, row, widened};
use crate::fields::weight;
use crate::initializers::Initializer;
use crate::{Call, Layer};
use sconce_core::axes::{Axes, known};
use sconce_core::{Args, Config, Result, Spec, Tensor, WeightSpec};

/// Divides by the root of the mean square over `axis`, at each place of the other axes by itself. x and
/// y: any shape; scale has the lengths of `axis`.
#[derive(Clone, Debug, Config)]
#[config(named)]
pub struct RMSNormalization {
    /// The axes of the mean; negative ones count from the end.
    #[config(default = Axes::One(-1))]
    pub axis: Axes,
    /// Added to the mean square.
    #[config(default = 1e-6, range = "[0, inf)")]
    pub epsilon: f64,
}

impl Layer for RMSNormalization {
    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let x = x.single("RMSNormalization")?;
        self.axis.positions(x.dims.rank())?;
        Ok(vec![x.clone()])
    }

    fn weights(&self, x: &Args<Spec>) -> Result<Vec<WeightSpec>> {
        let dims = &x.single("RMSNormalization")?.dims;
        let axes = self.axis.positions(dims.rank())?;
        let lengths = axes.iter().map(|axis| known(dims, *axis)).collect::<Result<Vec<_>>>()?;
        Ok(vec![weight("scale", &lengths, "scale", &Initializer::from("ones"), &None, &None)?])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let given = call.single()?.clone();
        let x = widened(&given)?;
        let axes = self.axis.positions(x.rank())?;
        let scale = row(call, "scale", &x)?;
        let y = over_axes(&x, &axes, false, self.epsilon, scale.as_ref(), None)?;
        Ok(vec![y.to_dtype(given.dtype())?])
    }
}
