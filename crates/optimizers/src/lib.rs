//! Optimizers, an update rule in a file each, and [learning rate schedules](schedules). What surrounds
//! every rule (clipping, decay, accumulation, averages, constraints) is in
//! [`apply`](OptimizerState::apply), for all of them.
//!
//! Separation of concerns: [`Common`] holds the arguments that all optimizers share; an
//! [`UpdateRule`] declares its [`Slot`]s and changes one weight; [`OptimizerState`] keeps everything
//! between steps.

mod adam;
mod adamw;
mod apply;
mod clip;
mod common;
mod rmsprop;
pub mod schedules;
mod sgd;
mod slot;
#[cfg(test)]
mod slot_tests;
mod state;
#[cfg(test)]
mod tests;

pub use adam::Adam;
pub use adamw::AdamW;
pub use clip::{Prepare, clip_grad_norm};
pub use common::{Common, OptimizerExt};
pub use rmsprop::RMSprop;
pub use sgd::SGD;
pub use slot::{Initial, Slot, WeightInfo};
pub use state::{OptimizerState, Step};

use crate::schedules::LearningRate;
use sconce_core::{DType, Entry, Kind, Part, Result, Tensor, registry};

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

    /// Changes the shared slots ([`Step::shared`]) in place. Called once per update, before
    /// [`UpdateRule::update`] is called for the weights.
    fn update_shared(&self, _step: &Step<'_>) -> Result<()> {
        Ok(())
    }

    /// Changes `weight` and `slots` in place (`sconce_kernels::update::assign`). The gradient has the
    /// weight's shape and is clipped, the weight is decayed; all are detached.
    fn update(
        &self,
        step: &Step<'_>,
        weight: &Tensor,
        gradient: &Tensor,
        slots: &[Tensor],
    ) -> Result<()>;

    /// The fused form, if there is one. It is used if all weights and slots are f32 on the CPU and
    /// every slot has the shape of its weight.
    fn kernel(&self) -> Option<&dyn Kernel> {
        None
    }
}

/// The fused form of a rule: one pass over f32 memory on the CPU.
pub trait Kernel {
    /// What [`UpdateRule::update`] does, after `prepare` (clipping and decay) of every element.
    fn run(
        &self,
        step: &Step<'_>,
        prepare: Prepare,
        weight: &Tensor,
        gradient: &Tensor,
        slots: &[Tensor],
    ) -> Result<()>;
}

/// Writes the table of optimizers, one line each, and `new` of each.
macro_rules! optimizers {
    ($($ty:ident [$($alias:literal),*];)*) => {
        registry! { Optimizers(UpdateRule): $($ty [$($alias),*];)* }

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
    Adam ["adam"];
    AdamW ["adamw"];
    RMSprop ["rmsprop"];
    SGD ["sgd"];
}
