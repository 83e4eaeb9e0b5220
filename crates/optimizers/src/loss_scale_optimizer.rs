//! LossScaleOptimizer: a loss scale that finds itself.

use super::common::only_name;
use super::{Common, DynamicScale, Optimizer, Slot, Step, Target, UpdateRule, WeightInfo};
use sconce_core::{Config, DType, Error, Json, Result};

/// Multiplies the loss by a scale before the backward pass and divides the gradients by it, so that small
/// gradients survive in 16 bits, and has another optimizer apply them. If a gradient is not finite, nothing is
/// applied and the scale is halved; after `dynamic_growth_steps` steps without, it is doubled.
///
/// Whether the gradients are finite is read from the device at each step. The inner optimizer's own
/// `loss_scale_factor` has no effect. Keras: `LossScaleOptimizer`, `"loss_scale_optimizer"`.
///
/// Micikevicius et al., "Mixed precision training", 2018.
#[derive(Clone, Debug, Config)]
#[config(read_only(
    weight_decay = null,
    clipnorm = null,
    global_clipnorm = null,
    clipvalue = null,
    use_ema = false,
    ema_momentum = 0.99,
    ema_overwrite_frequency = null,
    loss_scale_factor = null,
    gradient_accumulation_steps = null,
    dynamic = true
))]
pub struct LossScaleOptimizer {
    /// Its name; what else optimizers share is said to the inner one.
    #[config(key = "name", with = only_name, default = Common::new("loss_scale_optimizer", 0.0), no_builder)]
    pub common: Common,
    /// The optimizer that applies the gradients.
    pub inner_optimizer: Optimizer,
    /// The scale of the first step.
    #[config(default = 32768.0, range = "(0, inf)")]
    pub initial_scale: f64,
    /// Steps with finite gradients after which the scale is doubled.
    #[config(default = 2000, range = "[1, inf)")]
    pub dynamic_growth_steps: u64,
}

impl LossScaleOptimizer {
    /// Sets the name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.common.name = Some(name.into());
        self
    }
}

impl UpdateRule for LossScaleOptimizer {
    fn common(&self) -> &Common {
        &self.common
    }

    fn check(&self) -> Result<()> {
        let inner = self.inner_optimizer.get().map_err(|e| e.under("inner_optimizer"))?;
        if inner.dynamic_scale().is_some() {
            let message = "a LossScaleOptimizer cannot hold another";
            return Err(Error::config("inner_optimizer", message));
        }
        Ok(())
    }

    fn slots(&self, _: &WeightInfo<'_>) -> Vec<Slot> {
        Vec::new()
    }

    fn shared_slots(&self, _: DType) -> Vec<Slot> {
        let scale = Slot::new("dynamic_scale", &[], DType::F32);
        vec![
            Slot::new("step_counter", &[], DType::I32).on_cpu(),
            scale.initial(super::Initial::Value(self.initial_scale)).on_cpu(),
        ]
    }

    fn update(&self, _: &Step<'_>, _: &Target<'_>) -> Result<()> {
        Ok(())
    }

    fn dynamic_scale(&self) -> Option<DynamicScale> {
        Some(DynamicScale { growth_steps: self.dynamic_growth_steps })
    }

    fn inner(&self) -> Vec<&Optimizer> {
        vec![&self.inner_optimizer]
    }

    fn write_inner(&self, config: &mut Json, inner: Vec<Json>) {
        if let Some(inner) = inner.into_iter().next() {
            config["inner_optimizer"] = inner;
        }
    }
}
