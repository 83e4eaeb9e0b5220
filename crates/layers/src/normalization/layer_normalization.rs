//! LayerNormalization: `y = (x - mean) / sqrt(variance + epsilon) gamma + beta`, within each sample.
//!
//! Ba, Kiros and Hinton, "Layer normalization", 2016.

use super::{over_axes, row, widened};
use crate::constraints::Constraint;
use crate::fields::weight;
use crate::initializers::Initializer;
use crate::regularizers::Regularizer;
use crate::{Call, Layer};
use sconce_core::axes::{Axes, known};
use sconce_core::{Args, Config, Result, Spec, Tensor, WeightSpec};

/// Normalizes over `axis`, at each place of the other axes by itself. x and y: any shape; gamma and
/// beta have the lengths of `axis`.
#[derive(Clone, Debug, Config)]
#[config(named)]
pub struct LayerNormalization {
    /// The axes that are normalized over; negative ones count from the end.
    #[config(default = Axes::One(-1))]
    pub axis: Axes,
    /// Added to the variance.
    #[config(default = 1e-3, range = "[0, inf)")]
    pub epsilon: f64,
    /// Whether there is beta.
    #[config(default = true)]
    pub center: bool,
    /// Whether there is gamma.
    #[config(default = true)]
    pub scale: bool,
    /// Keras's deprecated form `y = x / sqrt(variance + epsilon) gamma`, without beta. For RMS
    /// normalization use [`RMSNormalization`](super::RMSNormalization).
    #[config(default = false)]
    pub rms_scaling: bool,
    /// First values of beta.
    #[config(default = "zeros")]
    pub beta_initializer: Initializer,
    /// First values of gamma.
    #[config(default = "ones")]
    pub gamma_initializer: Initializer,
    /// Penalty on beta.
    pub beta_regularizer: Option<Regularizer>,
    /// Penalty on gamma.
    pub gamma_regularizer: Option<Regularizer>,
    /// Projection of beta after each update.
    pub beta_constraint: Option<Constraint>,
    /// Projection of gamma after each update.
    pub gamma_constraint: Option<Constraint>,
}

impl Layer for LayerNormalization {
    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let x = x.single("LayerNormalization")?;
        self.axis.positions(x.dims.rank())?;
        Ok(vec![x.clone()])
    }

    fn weights(&self, x: &Args<Spec>) -> Result<Vec<WeightSpec>> {
        let dims = &x.single("LayerNormalization")?.dims;
        let axes = self.axis.positions(dims.rank())?;
        let lengths = axes.iter().map(|axis| known(dims, *axis)).collect::<Result<Vec<_>>>()?;
        let mut specs = Vec::new();
        if self.scale || self.rms_scaling {
            let (regularizer, constraint) = (&self.gamma_regularizer, &self.gamma_constraint);
            let first = &self.gamma_initializer;
            specs.push(weight("gamma", &lengths, "gamma", first, regularizer, constraint)?);
        }
        if self.center && !self.rms_scaling {
            let (regularizer, constraint) = (&self.beta_regularizer, &self.beta_constraint);
            let first = &self.beta_initializer;
            specs.push(weight("beta", &lengths, "beta", first, regularizer, constraint)?);
        }
        Ok(specs)
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let given = call.single()?.clone();
        let x = widened(&given)?;
        let axes = self.axis.positions(x.rank())?;
        let (gamma, beta) = (row(call, "gamma", &x)?, row(call, "beta", &x)?);
        let (gamma, beta) = (gamma.as_ref(), beta.as_ref());
        let y = match self.rms_scaling {
            false => over_axes(&x, &axes, true, self.epsilon, gamma, beta)?,
            true => {
                let centered = x.broadcast_sub(&x.mean_keepdim(axes.as_slice())?)?;
                let variance = centered.sqr()?.mean_keepdim(axes.as_slice())?;
                let y = x.broadcast_div(&(variance + self.epsilon)?.sqrt()?)?;
                let lengths =
                    |(axis, len): (usize, &usize)| if axes.contains(&axis) { *len } else { 1 };
                let dims: Vec<usize> = x.dims().iter().enumerate().map(lengths).collect();
                match gamma {
                    Some(gamma) => y.broadcast_mul(&sconce_ops::reshape(gamma, dims)?)?,
                    None => y,
                }
            }
        };
        Ok(vec![y.to_dtype(given.dtype())?])
    }

    fn supports_masking(&self) -> bool {
        true
    }
}
