//! Optimizers: one file each for the update rule; everything around the rule (clipping, decay,
//! accumulation, averages, constraints) is in [`apply`] once.

mod adam;
pub mod apply;
mod common;
mod sgd;

pub use adam::Adam;
pub use apply::{OptimizerState, Step};
pub use common::{Common, OptimizerExt};
pub use sgd::SGD;

use crate::optimizers::common::{build, complete};
use sconce_core::{Entry, Json, Kind, Part, Result, Tensor};

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

    /// What is kept for each weight, in the order of Keras's files.
    fn slots(&self) -> Vec<Slot>;

    /// Changes `weight` and `slots` in place. `gradient * step.scale` is the clipped gradient.
    fn update(
        &self,
        step: &Step,
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
    /// The complete configuration.
    fn config(&self) -> Result<Json>;
}

/// Writes the table of optimizers, one line each.
macro_rules! optimizers {
    ($($ty:ident = [$($alias:literal),*];)*) => {
        const ENTRIES: &[Entry<Optimizers>] = &[$(Entry {
            class_name: stringify!($ty),
            aliases: &[$($alias),*],
            build: |config| Ok(std::sync::Arc::new(build::<$ty>(config)?)),
            complete: complete::<$ty>,
        }),*];
        $(impl RuleConfig for $ty {
            const CLASS_NAME: &'static str = stringify!($ty);

            fn common_mut(&mut self) -> &mut Common {
                &mut self.common
            }

            fn config(&self) -> Result<Json> {
                common::config(self)
            }
        }

        impl From<$ty> for Optimizer {
            fn from(rule: $ty) -> Self {
                common::part(rule)
            }
        })*
    };
}

optimizers! {
    Adam = ["adam"];
    SGD = ["sgd"];
}
