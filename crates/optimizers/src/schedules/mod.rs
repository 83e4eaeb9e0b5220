//! Learning rate schedules: a function of the number of batches seen, one file each.

mod cosine_decay;
mod exponential_decay;

pub use cosine_decay::CosineDecay;
pub use exponential_decay::ExponentialDecay;

use sconce_core::schema::Definitions;
use sconce_core::value::{Numbers, mismatch};
use sconce_core::{ConfigValue, Entry, Json, Kind, Part, Result, registry};
use serde_json::json;

/// A learning rate as a function of the number of batches so far.
pub trait Schedule: Send + Sync {
    /// The rate of the update after `step` others.
    fn at(&self, step: u64) -> f64;

    /// Refuses hyperparameters that do not fit together.
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

/// The table of schedules.
pub struct Schedules;

impl Kind for Schedules {
    type Object = dyn Schedule;
    const NAME: &'static str = "learning rate schedule";
    const MODULE: &'static str = "keras.optimizers.schedules";

    fn entries() -> &'static [Entry<Self>] {
        Self::ENTRIES
    }

    fn check(schedule: &dyn Schedule) -> Result<()> {
        schedule.check()
    }
}

/// Writes the table of schedules, one line each, and makes each a [`LearningRate`].
macro_rules! schedules {
    ($($ty:ident;)*) => {
        registry! { Schedules(Schedule): $($ty [];)* }

        $(impl From<$ty> for LearningRate {
            fn from(schedule: $ty) -> Self {
                Self::Schedule(schedule.into())
            }
        })*
    };
}

schedules! {
    CosineDecay;
    ExponentialDecay;
}

/// A learning rate: a number, or a schedule.
#[derive(Clone, Debug)]
pub enum LearningRate {
    /// The same for every update.
    Constant(f64),
    /// A function of the number of batches so far.
    Schedule(Part<Schedules>),
}

impl LearningRate {
    /// The rate of the update after `step` others.
    pub fn at(&self, step: u64) -> f64 {
        match self {
            Self::Constant(rate) => *rate,
            Self::Schedule(schedule) => schedule.get().map_or(f64::NAN, |s| s.at(step)),
        }
    }

    /// Refuses a schedule that cannot work.
    pub(super) fn check(&self) -> Result<()> {
        match self {
            Self::Constant(_) => Ok(()),
            Self::Schedule(schedule) => schedule.get().map(drop),
        }
    }
}

impl From<f64> for LearningRate {
    fn from(rate: f64) -> Self {
        Self::Constant(rate)
    }
}

impl From<Part<Schedules>> for LearningRate {
    fn from(schedule: Part<Schedules>) -> Self {
        Self::Schedule(schedule)
    }
}

impl ConfigValue for LearningRate {
    fn from_json(value: &Json) -> Result<Self> {
        match value {
            Json::Number(_) => f64::from_json(value).map(Self::Constant),
            Json::Object(_) | Json::String(_) => Part::from_json(value).map(Self::Schedule),
            other => Err(mismatch("a number or a learning rate schedule", other)),
        }
    }

    fn to_json(&self) -> Result<Json> {
        match self {
            Self::Constant(rate) => rate.to_json(),
            Self::Schedule(schedule) => schedule.to_json(),
        }
    }

    fn schema(definitions: &mut Definitions) -> Json {
        json!({"anyOf": [f64::schema(definitions), definitions.part::<Schedules>()]})
    }
}

impl Numbers for LearningRate {
    const WHOLE: bool = false;

    fn find_number(&self, test: &dyn Fn(f64) -> bool) -> Option<f64> {
        match self {
            Self::Constant(rate) => rate.find_number(test),
            Self::Schedule(_) => None,
        }
    }
}

/// A number of steps. Whole numbers are written without a point, as Keras writes them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Steps(pub f64);

macro_rules! steps_from {
    ($($ty:ty),*) => {
        $(impl From<$ty> for Steps {
            fn from(steps: $ty) -> Self {
                Self(steps as f64)
            }
        })*
    };
}

steps_from!(i32, u32, u64, usize, f64);

impl ConfigValue for Steps {
    fn from_json(value: &Json) -> Result<Self> {
        f64::from_json(value).map(Self)
    }

    fn to_json(&self) -> Result<Json> {
        if self.0.fract() == 0.0 && self.0.abs() < 2f64.powi(53) {
            return Ok((self.0 as i64).into());
        }
        self.0.to_json()
    }

    fn schema(definitions: &mut Definitions) -> Json {
        f64::schema(definitions)
    }
}

impl Numbers for Steps {
    const WHOLE: bool = false;

    fn find_number(&self, test: &dyn Fn(f64) -> bool) -> Option<f64> {
        self.0.find_number(test)
    }
}

#[cfg(test)]
mod tests;
