//! The arguments that all of Keras's optimizers share.

use crate::schedules::LearningRate;
use sconce_core::{Config, Error, Result};

/// Learning rate, clipping, decay, averages and accumulation. Defaults as in Keras.
///
/// The two norms differ: `clipnorm` scales each weight's gradient by that weight's own norm;
/// `global_clipnorm` scales all gradients by the norm of all together, as PyTorch's
/// `clip_grad_norm_` does.
#[derive(Clone, Debug, Config)]
#[config(new(name, learning_rate))]
pub struct Common {
    /// The optimizer's name, in which its variables' paths begin; `null`: its class in snake case.
    pub name: Option<String>,
    /// A number or a schedule; each optimizer has its own default.
    #[config(range = "[0, inf)")]
    pub learning_rate: LearningRate,
    /// Each update subtracts `learning_rate * weight_decay * weight`.
    #[config(range = "[0, inf)")]
    pub weight_decay: Option<f64>,
    /// Largest norm of each weight's gradient.
    #[config(range = "[0, inf)")]
    pub clipnorm: Option<f64>,
    /// Largest norm of all gradients together.
    #[config(range = "[0, inf)")]
    pub global_clipnorm: Option<f64>,
    /// Largest magnitude of each element of a gradient.
    #[config(range = "[0, inf)")]
    pub clipvalue: Option<f64>,
    /// Whether to keep an exponential moving average of the weights.
    #[config(default = false)]
    pub use_ema: bool,
    /// Retention of the average.
    #[config(default = 0.99, range = "[0, 1]")]
    pub ema_momentum: f64,
    /// The weights are overwritten with their average every so many updates, and always at the end of
    /// training.
    #[config(range = "[1, inf)")]
    pub ema_overwrite_frequency: Option<u64>,
    /// The loss is multiplied by it before the backward pass, gradients are divided by it.
    #[config(range = "(0, inf)")]
    pub loss_scale_factor: Option<f64>,
    /// Batches whose gradients are averaged into one update, at least 2.
    #[config(range = "[2, inf)")]
    pub gradient_accumulation_steps: Option<u64>,
}

impl Common {
    /// Refuses arguments that do not fit together.
    pub(super) fn check(&self) -> Result<()> {
        self.learning_rate.check().map_err(|e| e.under("learning_rate"))?;
        let clips = [
            ("clipnorm", self.clipnorm),
            ("global_clipnorm", self.global_clipnorm),
            ("clipvalue", self.clipvalue),
        ];
        let given: Vec<&str> = clips.iter().filter(|c| c.1.is_some()).map(|c| c.0).collect();
        match given.as_slice() {
            [_, .., last] => {
                let given = given.join(" and ");
                let message = format!("only one kind of clipping can be used, got {given}");
                Err(Error::config(*last, message))
            }
            _ => Ok(()),
        }
    }
}

/// Builder methods that every optimizer has.
pub trait OptimizerExt: AsMut<Common> + Sized {
    /// Sets the name, in which the paths of the optimizer's variables begin.
    fn name(mut self, name: impl Into<String>) -> Self {
        self.as_mut().name = Some(name.into());
        self
    }

    /// Scales each weight's gradient down to this norm.
    fn clipnorm(mut self, norm: f64) -> Self {
        self.as_mut().clipnorm = Some(norm);
        self
    }

    /// Scales all gradients together down to this norm.
    fn global_clipnorm(mut self, norm: f64) -> Self {
        self.as_mut().global_clipnorm = Some(norm);
        self
    }

    /// Clips each element of a gradient to this magnitude.
    fn clipvalue(mut self, value: f64) -> Self {
        self.as_mut().clipvalue = Some(value);
        self
    }

    /// Subtracts `learning_rate * weight_decay * weight` at each update.
    fn weight_decay(mut self, weight_decay: f64) -> Self {
        self.as_mut().weight_decay = Some(weight_decay);
        self
    }

    /// Keeps an exponential moving average of the weights, with this retention.
    fn use_ema(mut self, momentum: f64) -> Self {
        self.as_mut().use_ema = true;
        self.as_mut().ema_momentum = momentum;
        self
    }

    /// Overwrites the weights with their average every so many updates.
    fn ema_overwrite_frequency(mut self, updates: u64) -> Self {
        self.as_mut().ema_overwrite_frequency = Some(updates);
        self
    }

    /// Multiplies the loss before the backward pass; gradients are divided by it.
    fn loss_scale_factor(mut self, factor: f64) -> Self {
        self.as_mut().loss_scale_factor = Some(factor);
        self
    }

    /// Averages the gradients of this many batches into one update.
    fn gradient_accumulation_steps(mut self, steps: u64) -> Self {
        self.as_mut().gradient_accumulation_steps = Some(steps);
        self
    }
}

impl<T: AsMut<Common>> OptimizerExt for T {}
