//! Optimizers, an update rule in a file each, and [learning rate schedules](schedules). What surrounds
//! every rule (clipping, decay, accumulation, averages, constraints) is in
//! [`apply`](OptimizerState::apply), for all of them.
//!
//! Separation of concerns: [`Common`] holds the arguments that all optimizers share; an
//! [`UpdateRule`] declares its [`Slot`]s and changes one weight; [`OptimizerState`] keeps everything
//! between steps.

mod adadelta;
mod adafactor;
mod adagrad;
mod adam;
mod adamax;
mod adamw;
mod apply;
mod clip;
mod common;
mod dynamic_scale;
mod ftrl;
mod lamb;
mod lion;
mod loss_scale_optimizer;
mod multi_optimizer;
mod muon;
mod nadam;
mod rmsprop;
mod schedule_free_adamw;
pub mod schedules;
mod sgd;
mod slot;
#[cfg(test)]
mod slot_tests;
mod state;
mod target;
#[cfg(test)]
mod tests;

pub use adadelta::Adadelta;
pub use adafactor::Adafactor;
pub use adagrad::Adagrad;
pub use adam::Adam;
pub use adamax::Adamax;
pub use adamw::AdamW;
pub use clip::{Prepare, clip_grad_norm, gradient_norm};
pub use common::{Common, OptimizerExt};
pub use dynamic_scale::DynamicScale;
pub use ftrl::Ftrl;
pub use lamb::Lamb;
pub use lion::Lion;
pub use loss_scale_optimizer::LossScaleOptimizer;
pub use multi_optimizer::{MultiOptimizer, OptimizerMap};
pub use muon::Muon;
pub use nadam::Nadam;
pub use rmsprop::RMSprop;
pub use schedule_free_adamw::ScheduleFreeAdamW;
pub use sgd::SGD;
pub use slot::{Initial, Slot, WeightInfo};
pub use state::{OptimizerState, Step};
pub use target::Target;

use crate::schedules::LearningRate;
use sconce_core::{DType, Entry, Json, Kind, Part, Result, registry};

/// The table of optimizers.
pub struct Optimizers;

/// An optimizer as `compile` takes it: by name, configured, or from JSON.
pub type Optimizer = Part<Optimizers>;

impl Kind for Optimizers {
    type Object = dyn UpdateRule;
    const NAME: &'static str = "optimizer";
    const MODULE: &'static str = "keras.optimizers";

    fn entries() -> &'static [Entry<Self>] {
        Self::ENTRIES
    }

    fn check(rule: &dyn UpdateRule) -> Result<()> {
        rule.common().check()?;
        rule.check()
    }
}

/// The update rule of an optimizer.
pub trait UpdateRule: Send + Sync {
    /// The arguments that all optimizers share.
    fn common(&self) -> &Common;

    /// Refuses hyperparameters that do not fit together.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// The slots of a weight, in the order in which [`UpdateRule::update`] is given them. Their
    /// number, shapes and types may differ from weight to weight.
    fn slots(&self, weight: &WeightInfo<'_>) -> Vec<Slot>;

    /// Slots that all weights share, which come after those of the weights. `dtype` is the type of
    /// the weights.
    fn shared_slots(&self, _dtype: DType) -> Vec<Slot> {
        Vec::new()
    }

    /// What the shared slots hold after so many updates, where that follows from the number alone: files of
    /// Keras 2 leave them out.
    fn shared_after(&self, _updates: u64) -> Vec<f64> {
        Vec::new()
    }

    /// Changes the shared slots ([`Step::shared`]) in place. Called once per update, before
    /// [`UpdateRule::update`] is called for the weights.
    fn update_shared(&self, _step: &Step<'_>) -> Result<()> {
        Ok(())
    }

    /// The fraction of a weight, in learning rates, that each update subtracts first.
    fn weight_decay(&self, _weight: &WeightInfo<'_>) -> Option<f64> {
        self.common().weight_decay
    }

    /// Changes the weight and the slots of a target in place (`sconce_kernels::update::assign`). All
    /// tensors are detached.
    fn update(&self, step: &Step<'_>, target: &Target<'_>) -> Result<()>;

    /// Whether [`UpdateRule::update`] does itself what `Target::prepare` says. Then it is given gradients
    /// and weights as they are, if all of an optimizer's weights and slots are f32 on the CPU.
    fn fused(&self) -> bool {
        false
    }

    /// Whether a weight and its slots stay as they are, bit for bit, where the gradient is 0, so that only the rows
    /// that an embedding used need be changed. For rules whose update is `elementwise!`.
    fn leaves_without_gradient(&self) -> bool {
        false
    }

    /// The factor on the loss before the backward pass, by which gradients are divided.
    fn loss_scale_factor(&self) -> Option<f64> {
        self.common().loss_scale_factor
    }

    /// For an optimizer whose loss scale changes: its shared slots are a count of steps and the scale.
    fn dynamic_scale(&self) -> Option<DynamicScale> {
        None
    }

    /// The optimizers that update the weights, for one that only holds others, in the order of their
    /// variables.
    fn inner(&self) -> Vec<&Optimizer> {
        Vec::new()
    }

    /// Which of [`UpdateRule::inner`] updates the weight with this path.
    fn inner_of(&self, _path: &str) -> Result<usize> {
        Ok(0)
    }

    /// Sets the JSON of the inner optimizers in the `config` of this one.
    fn write_inner(&self, _config: &mut Json, _inner: Vec<Json>) {}
}

/// Writes the table of optimizers, one line each, and `new` of those with a learning rate.
macro_rules! optimizers {
    (rules { $($ty:ident [$($alias:literal),*];)* }
     that_hold_others { $($holder:ident [$($name:literal),*];)* }) => {
        registry! { Optimizers(UpdateRule): $($ty [$($alias),*];)* $($holder [$($name),*];)* }

        $(impl $ty {
            /// With a learning rate, a number or a schedule, and the defaults of all else.
            pub fn new(learning_rate: impl Into<LearningRate>) -> Self {
                let mut optimizer = Self::default();
                optimizer.common.learning_rate = learning_rate.into();
                optimizer
            }
        })*
    };
}

optimizers! {
    rules {
        Adadelta ["adadelta"];
        Adafactor ["adafactor"];
        Adagrad ["adagrad"];
        Adam ["adam"];
        Adamax ["adamax"];
        AdamW ["adamw"];
        Ftrl ["ftrl"];
        Lamb ["lamb"];
        Lion ["lion"];
        Muon ["muon"];
        Nadam ["nadam"];
        RMSprop ["rmsprop"];
        ScheduleFreeAdamW ["schedulefreeadamw"];
        SGD ["sgd"];
    }
    that_hold_others {
        LossScaleOptimizer ["lossscaleoptimizer"];
        MultiOptimizer ["multioptimizer"];
    }
}
