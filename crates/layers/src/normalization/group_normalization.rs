//! GroupNormalization: `y = (x - mean) / sqrt(variance + epsilon) gamma + beta`, for each sample and
//! group of channels.
//!
//! Wu and He, "Group normalization", 2018.

use super::{row, widened};
use crate::constraints::Constraint;
use crate::fields::weight;
use crate::initializers::Initializer;
use crate::regularizers::Regularizer;
use crate::{Call, Layer};
use sconce_core::axes::{known, position};
use sconce_core::{Args, Config, Error, Result, Spec, Tensor, WeightSpec};
use sconce_ops::normalization::{Normalization, Sets};

/// Divides the channels into groups, and normalizes each over the positions of a sample. x and y: any
/// shape, of which `axis` has the channels; gamma and beta `[channels]`.
#[derive(Clone, Debug, Config)]
#[config(named)]
pub struct GroupNormalization {
    /// Number of groups, which divides that of the channels; -1: each channel is one (instance
    /// normalization), 1: all are.
    #[config(default = 32)]
    pub groups: i64,
    /// The axis of the channels; negative ones count from the end.
    #[config(default = -1)]
    pub axis: i64,
    /// Added to the variance.
    #[config(default = 1e-3, range = "[0, inf)")]
    pub epsilon: f64,
    /// Whether there is beta.
    #[config(default = true)]
    pub center: bool,
    /// Whether there is gamma.
    #[config(default = true)]
    pub scale: bool,
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

impl GroupNormalization {
    /// The axis of the channels, which is not that of the batch.
    fn channel_axis(&self, rank: usize) -> Result<usize> {
        match position(self.axis, rank)? {
            0 => Err(Error::layer("", "the batch axis is no axis of channels")),
            axis => Ok(axis),
        }
    }

    /// The number of groups of so many channels.
    fn groups_of(&self, channels: usize) -> Result<usize> {
        let groups = if self.groups == -1 { channels as u64 } else { self.groups.unsigned_abs() };
        match usize::try_from(groups) {
            Ok(groups) if groups > 0 && channels.is_multiple_of(groups) => Ok(groups),
            _ => {
                let message = format!("{channels} channels cannot be divided into {groups} groups");
                Err(Error::layer("", message))
            }
        }
    }
}

impl Layer for GroupNormalization {
    fn check(&self) -> Result<()> {
        if self.groups < 1 && self.groups != -1 {
            let message = format!("must be at least 1, or -1, found {}", self.groups);
            return Err(Error::config("groups", message));
        }
        Ok(())
    }

    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let x = x.single("GroupNormalization")?;
        self.groups_of(known(&x.dims, self.channel_axis(x.dims.rank())?)?)?;
        Ok(vec![x.clone()])
    }

    fn weights(&self, x: &Args<Spec>) -> Result<Vec<WeightSpec>> {
        let dims = &x.single("GroupNormalization")?.dims;
        let channels = [known(dims, self.channel_axis(dims.rank())?)?];
        let mut specs = Vec::new();
        if self.scale {
            let (regularizer, constraint) = (&self.gamma_regularizer, &self.gamma_constraint);
            let first = &self.gamma_initializer;
            specs.push(weight("gamma", &channels, "gamma", first, regularizer, constraint)?);
        }
        if self.center {
            let (regularizer, constraint) = (&self.beta_regularizer, &self.beta_constraint);
            let first = &self.beta_initializer;
            specs.push(weight("beta", &channels, "beta", first, regularizer, constraint)?);
        }
        Ok(specs)
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let given = call.single()?.clone();
        let x = widened(&given)?;
        let axis = self.channel_axis(x.rank())?;
        let (before, after) = x.dims().split_at(axis);
        let (all, groups) = match after {
            [all, ..] => (*all, self.groups_of(*all)?),
            [] => (1, 1),
        };
        let length = |dims: Option<&[usize]>| dims.unwrap_or_default().iter().product();
        let sets = Sets {
            samples: before.first().copied().unwrap_or(1),
            positions: length(before.get(1..)),
            groups,
            channels: all / groups,
            inner: length(after.get(1..)),
        };
        let (gamma, beta) = (row(call, "gamma", &x)?, row(call, "beta", &x)?);
        let (gamma, beta) = (gamma.as_ref(), beta.as_ref());
        let normalization =
            Normalization { sets, center: true, epsilon: self.epsilon, gamma, beta };
        let [y, ..] = normalization.apply(&x, None)?;
        Ok(vec![y.to_dtype(given.dtype())?])
    }

    fn supports_masking(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sconce_core::Dims;

    #[test]
    fn groups_divide_the_channels() {
        let error = |layer: GroupNormalization, dims: &[usize]| {
            let spec = Spec::float(Dims::batch_of(dims));
            layer.outputs(&Args::one(spec)).unwrap_err().to_string()
        };
        let three = || GroupNormalization::new().groups(3);
        assert!(error(three(), &[2, 4]).contains("4 channels cannot be divided into 3 groups"));
        assert!(error(three().axis(0), &[3]).contains("the batch axis is no axis of channels"));
        let message = GroupNormalization::new().groups(0).check().unwrap_err().to_string();
        assert!(message.contains("must be at least 1, or -1, found 0"), "{message}");
    }
}
