//! BatchNormalization: `y = (x - mean) / sqrt(variance + epsilon) gamma + beta`, for each channel.
//!
//! Ioffe and Szegedy, "Batch normalization: accelerating deep network training by reducing internal
//! covariate shift", 2015.

use super::{row, widened};
use crate::constraints::Constraint;
use crate::fields::weight;
use crate::initializers::Initializer;
use crate::regularizers::Regularizer;
use crate::{Call, Layer};
use sconce_core::axes::{known, position};
use sconce_core::{Args, Config, Error, Result, Spec, Tensor, WeightSpec};
use sconce_ops::normalization::{Normalization, Sets};

/// In training each channel is normalized by its mean and variance in the batch, elsewhere (and in a
/// layer that is frozen) by averages of those that training gathers. x and y: any shape, of which
/// `axis` has the channels; gamma, beta, moving_mean and moving_variance `[channels]`.
///
/// After each step `moving = moving momentum + batch (1 - momentum)`; the variance is that of the batch,
/// divided by its count. With a mask, the values of steps that are masked do not count.
#[derive(Clone, Debug, Config)]
#[config(named, only(renorm = false, renorm_clipping = null, renorm_momentum = 0.99))]
pub struct BatchNormalization {
    /// The axis of the channels; negative ones count from the end.
    #[config(default = -1)]
    pub axis: i64,
    /// How much of the moving averages a step keeps, in 0..=1.
    #[config(default = 0.99, range = "[0, 1]")]
    pub momentum: f64,
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
    /// First values of the moving mean.
    #[config(default = "zeros")]
    pub moving_mean_initializer: Initializer,
    /// First values of the moving variance.
    #[config(default = "ones")]
    pub moving_variance_initializer: Initializer,
    /// Penalty on beta.
    pub beta_regularizer: Option<Regularizer>,
    /// Penalty on gamma.
    pub gamma_regularizer: Option<Regularizer>,
    /// Projection of beta after each update.
    pub beta_constraint: Option<Constraint>,
    /// Projection of gamma after each update.
    pub gamma_constraint: Option<Constraint>,
    /// Keras's flag for statistics of several devices together; only `false`.
    #[config(default = false, no_builder)]
    pub synchronized: bool,
}

impl Layer for BatchNormalization {
    fn check(&self) -> Result<()> {
        if self.synchronized {
            let message = "statistics over several devices are not supported, since a model trains on one; \
                           set it to false";
            return Err(Error::config("synchronized", message));
        }
        Ok(())
    }

    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let x = x.single("BatchNormalization")?;
        known(&x.dims, position(self.axis, x.dims.rank())?)?;
        Ok(vec![x.clone()])
    }

    fn weights(&self, x: &Args<Spec>) -> Result<Vec<WeightSpec>> {
        let dims = &x.single("BatchNormalization")?.dims;
        let channels = [known(dims, position(self.axis, dims.rank())?)?];
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
        for (name, initializer) in [
            ("moving_mean", &self.moving_mean_initializer),
            ("moving_variance", &self.moving_variance_initializer),
        ] {
            specs.push(weight(name, &channels, name, initializer, &None, &None)?.non_trainable());
        }
        Ok(specs)
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let given = call.single()?.clone();
        let x = widened(&given)?;
        let axis = position(self.axis, x.rank())?;
        let length = |dims: &[usize]| dims.iter().product::<usize>();
        let (before, after) = x.dims().split_at(axis);
        let sets = Sets {
            samples: 1,
            positions: length(before),
            groups: after.first().copied().unwrap_or(1),
            channels: 1,
            inner: length(after.get(1..).unwrap_or_default()),
        };
        let (gamma, beta) = (row(call, "gamma", &x)?, row(call, "beta", &x)?);
        let normalization = Normalization {
            sets,
            center: true,
            epsilon: self.epsilon,
            gamma: gamma.as_ref(),
            beta: beta.as_ref(),
        };
        let following = call.following().clone();
        let activation = following.activation.as_ref();
        if !call.training() || !call.trainable() {
            let (mean, variance) = (call.state("moving_mean")?, call.state("moving_variance")?);
            let y = normalization.apply_given(&x, &mean, &variance, activation)?;
            return Ok(vec![y.to_dtype(given.dtype())?]);
        }
        let weights = match call.mask(0) {
            Some(mask) if mask.rank() + 1 == x.rank() => {
                let weights = mask.ne(&mask.zeros_like()?)?.to_dtype(x.dtype())?;
                Some(weights.unsqueeze(mask.rank())?.broadcast_as(x.shape())?.contiguous()?)
            }
            Some(mask) => {
                let message = format!(
                    "the mask of shape {:?} must have one axis less than the inputs of shape {:?}",
                    mask.dims(),
                    x.dims()
                );
                return Err(Error::layer("", message));
            }
            None => None,
        };
        let [y, mean, variance] =
            normalization.apply_activated(&x, weights.as_ref(), activation)?;
        for (name, batch) in [("moving_mean", mean), ("moving_variance", variance)] {
            let moving = call.state(name)?;
            let batch = batch.detach().to_dtype(moving.dtype())?;
            let moved = ((moving * self.momentum)? + (batch * (1.0 - self.momentum))?)?;
            call.update(name, moved)?;
        }
        Ok(vec![y.to_dtype(given.dtype())?])
    }

    fn takes_activation(&self) -> bool {
        true
    }

    fn affine(
        &self,
        rank: usize,
        weight: &dyn Fn(&str) -> Option<Tensor>,
    ) -> Result<Option<[Tensor; 2]>> {
        let (mean, variance) = (weight("moving_mean"), weight("moving_variance"));
        let (Some(mean), Some(variance)) = (mean, variance) else { return Ok(None) };
        if position(self.axis, rank)? + 1 != rank {
            return Ok(None);
        }
        let inverse = (variance + self.epsilon)?.sqrt()?.recip()?;
        let factor = match weight("gamma") {
            Some(gamma) => (inverse * gamma)?,
            None => inverse,
        };
        let moved = (mean * &factor)?.neg()?;
        let shift = match weight("beta") {
            Some(beta) => (moved + beta)?,
            None => moved,
        };
        Ok(Some([factor, shift]))
    }

    fn supports_masking(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LayerEntry, Scope, json};
    use sconce_core::{Context, DType, Device, Value};
    use serde_json::json;

    fn state(entry: &LayerEntry) -> Vec<Vec<f32>> {
        let state = entry.weights().iter().filter(|w| w.is_state);
        state.map(|w| w.var.to_vec1().unwrap()).collect()
    }

    /// Two uses of one layer in a step: the second starts from what the first left.
    #[test]
    fn a_layer_that_is_used_twice_in_a_step_moves_twice() {
        let entry = LayerEntry::from(BatchNormalization::new().momentum(0.5));
        let x = Tensor::new(&[[1f32], [3.0]], &Device::Cpu).unwrap();
        let mut cx = Context::training(0, 0);
        crate::run(&entry, &[&x], &mut cx).unwrap();
        let far = (&x + 9.0).unwrap();
        let args = Args::one(Value::from(far));
        Scope::new(&mut cx, None).run(&entry, args, 1).unwrap();
        assert_eq!(state(&entry), [[0.0], [1.0]], "the step is not done");
        cx.apply_updates().unwrap();
        // 0 -> 1 -> 6, and 1 -> 1 -> 1.
        assert_eq!(state(&entry), [[6.0], [1.0]]);
    }

    #[test]
    fn frozen_and_inferring_layers_use_the_moving_averages() {
        let x = Tensor::new(&[[1f32, 5.0], [3.0, 5.0]], &Device::Cpu).unwrap();
        let run = |entry: &LayerEntry, cx: &mut Context| {
            let y = crate::run(entry, &[&x], cx).unwrap().remove(0).to_vec2::<f32>().unwrap();
            cx.apply_updates().unwrap();
            y
        };
        let entry = LayerEntry::from(BatchNormalization::new().epsilon(0.0));
        assert_eq!(run(&entry, &mut Context::inference()), x.to_vec2::<f32>().unwrap());
        entry.set_trainable(false);
        assert_eq!(run(&entry, &mut Context::training(0, 0)), x.to_vec2::<f32>().unwrap());
        assert_eq!(state(&entry), [[0.0, 0.0], [1.0, 1.0]]);
        entry.set_trainable(true);
        let y = run(&entry, &mut Context::training(0, 0));
        assert_eq!((y[0][0], y[1][0]), (-1.0, 1.0));
        assert_ne!(state(&entry), [[0.0, 0.0], [1.0, 1.0]]);
    }

    /// In half precision the squares of these overflow.
    #[test]
    fn half_precision_is_widened() {
        let x = Tensor::new(&[[1000f32], [1400.0]], &Device::Cpu).unwrap();
        let options = crate::Options {
            policy: sconce_core::DTypePolicy { compute: DType::F16, variable: DType::F32 },
            ..Default::default()
        };
        let entry = LayerEntry::new(std::sync::Arc::new(BatchNormalization::new()), options);
        let y = crate::run(&entry, &[&x], &mut Context::training(0, 0)).unwrap().remove(0);
        assert_eq!(y.dtype(), DType::F16);
        let y = y.to_dtype(DType::F32).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(y, [[-1.0], [1.0]]);
    }

    #[test]
    fn what_is_not_supported_is_refused_with_what_to_do() {
        for (config, message) in [
            (json!({"synchronized": true}), "set it to false"),
            (json!({"renorm": true}), "must be false, found true"),
        ] {
            let document = json!({"class_name": "BatchNormalization", "config": config});
            let error = json::from_json(&document).err().unwrap().to_string();
            assert!(error.contains(message), "{error}");
        }
        let entry = LayerEntry::from(BatchNormalization::new().axis(3));
        let spec = Spec::float(sconce_core::Dims::batch_of(&[2]));
        let error = entry.outputs(&Args::one(spec)).unwrap_err().to_string();
        assert!(error.contains("axis 3 does not exist in inputs of 2 axes"), "{error}");
    }
}
