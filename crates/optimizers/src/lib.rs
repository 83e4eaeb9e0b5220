//! Optimizers: one file each for the update rule; what surrounds every rule (clipping, decay,
//! accumulation, averages, constraints) is in [`apply`](OptimizerState::apply) once.
//!
//! Separation of concerns: [`Common`] holds the arguments all rules share; a [`Rule`] changes one
//! weight; [`OptimizerState`] keeps everything between steps.

mod adam;
mod adamw;
mod apply;
mod clip;
mod common;
mod rmsprop;
pub mod schedules;
mod sgd;
mod state;
#[cfg(test)]
mod tests;

pub use adam::Adam;
pub use adamw::AdamW;
pub use clip::Prepare;
pub use common::{Common, OptimizerExt};
pub use rmsprop::RMSprop;
pub use sgd::SGD;
pub use state::{OptimizerState, Step};

use crate::common::read;
use sconce_core::{Entry, Kind, Part, Result, Tensor};

/// The table of optimizers.
pub struct Optimizers;

/// An optimizer as `compile` takes it: by name, configured, or from JSON.
pub type Optimizer = Part<Optimizers>;

impl Kind for Optimizers {
    type Object = dyn Rule;
    const NAME: &'static str = "optimizer";
    const MODULE: &'static str = "keras.optimizers";
    fn entries() -> &'static [Entry<Self>] {
        ENTRIES
    }
}

/// One tensor of the weight's shape that a rule keeps between steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slot {
    /// Keras's name: "momentum", "velocity".
    pub name: &'static str,
    /// First value of every element.
    pub initial: f32,
}

impl Slot {
    /// A slot that starts at 0.
    pub const fn zeros(name: &'static str) -> Self {
        Self { name, initial: 0.0 }
    }
}

/// The update rule of an optimizer.
pub trait Rule: Send + Sync {
    /// The arguments that all optimizers share.
    fn common(&self) -> &Common;

    /// Refuses hyperparameters that cannot work.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// What is kept for each weight. Keras makes (and files hold) the slots of a group weight by
    /// weight, and group after group; [`Rule::update`] is given them in this order.
    fn slots(&self) -> Vec<Vec<Slot>>;

    /// Changes `weight` and `slots` in place (`sconce_kernels::update::assign`). The gradient is
    /// clipped, the weight decayed; all are detached and of one shape.
    fn update(
        &self,
        step: &Step,
        weight: &Tensor,
        gradient: &Tensor,
        slots: &[Tensor],
    ) -> Result<()>;

    /// The fused form, if there is one.
    fn kernel(&self) -> Option<&dyn Kernel> {
        None
    }
}

/// The fused form of a rule: one pass over f32 memory on the CPU.
pub trait Kernel {
    /// What [`Rule::update`] does, with `prepare` (clipping and decay) done to every element first.
    fn run(
        &self,
        step: &Step,
        prepare: Prepare,
        weight: &Tensor,
        gradient: &Tensor,
        slots: &[Tensor],
    ) -> Result<()>;
}

/// The configuration of a rule with the common arguments, as Keras writes it.
pub trait RuleConfig: Rule {
    /// Keras's class name.
    const CLASS_NAME: &'static str;
    /// The common arguments, to change them.
    fn common_mut(&mut self) -> &mut Common;
}

/// Writes the table of optimizers, one line each.
macro_rules! optimizers {
    ($($ty:ident = [$($alias:literal),*];)*) => {
        const ENTRIES: &[Entry<Optimizers>] = &[$(Entry {
            class_name: stringify!($ty),
            aliases: &[$($alias),*],
            read: read::<$ty>,
            schema: |_| sconce_core::registry::schema_of_defaults(read::<$ty>),
        }),*];
        $(impl From<$ty> for Optimizer {
            fn from(rule: $ty) -> Self {
                common::part(rule)
            }
        })*
    };
}

optimizers! {
    Adam = ["adam"];
    AdamW = ["adamw"];
    RMSprop = ["rmsprop"];
    SGD = ["sgd"];
}

/// A hyperparameter that must lie in `0..=1`, or, with `open`, in `0..1`.
fn require_part(key: &str, value: f64, open: bool) -> Result<()> {
    if (0.0..=1.0).contains(&value) && !(open && value == 1.0) {
        return Ok(());
    }
    let below = if open { "less than" } else { "at most" };
    let message = format!("must be at least 0 and {below} 1, found {value}");
    Err(sconce_core::Error::config(key, message))
}

/// A hyperparameter that must be finite and at least 0.
fn require_non_negative(key: &str, value: f64) -> Result<()> {
    if value >= 0.0 && value.is_finite() {
        return Ok(());
    }
    let message = format!("must be a finite number of at least 0, found {value}");
    Err(sconce_core::Error::config(key, message))
}
