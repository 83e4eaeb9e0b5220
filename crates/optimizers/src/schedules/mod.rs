//! Learning rate schedules: a function of the number of batches seen, one file each.

mod cosine_decay;
mod exponential_decay;

pub use cosine_decay::CosineDecay;
pub use exponential_decay::ExponentialDecay;

use sconce_core::{Entry, Error, Json, Kind, Part, Result, registry};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A learning rate as a function of the number of batches so far.
pub trait Schedule: Send + Sync {
    /// The rate of the update after `step` others.
    fn at(&self, step: u64) -> f64;

    /// Refuses hyperparameters that cannot work.
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
    ($($ty:ident = $class:literal;)*) => {
        registry! { Schedules: $($ty = $class [];)* }

        $(impl From<$ty> for LearningRate {
            fn from(schedule: $ty) -> Self {
                Self::Schedule(schedule.into())
            }
        })*
    };
}

schedules! {
    CosineDecay = "CosineDecay";
    ExponentialDecay = "ExponentialDecay";
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

    /// Refuses a rate that cannot work.
    pub fn check(&self) -> Result<()> {
        match self {
            Self::Constant(rate) if *rate >= 0.0 && rate.is_finite() => Ok(()),
            Self::Constant(rate) => {
                let message = format!("must be a finite number of at least 0, found {rate}");
                Err(Error::config("", message))
            }
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

impl Serialize for LearningRate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Constant(rate) => rate.serialize(serializer),
            Self::Schedule(schedule) => schedule.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for LearningRate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let error = |m: String| serde::de::Error::custom(m);
        match Json::deserialize(deserializer)? {
            Json::Number(rate) => Ok(Self::Constant(rate.as_f64().unwrap_or(f64::NAN))),
            value @ (Json::Object(_) | Json::String(_)) => {
                Part::from_json(&value).map(Self::Schedule).map_err(|e| error(e.to_string()))
            }
            other => Err(error(format!("a learning rate is a number or a schedule, not {other}"))),
        }
    }
}

/// Whole numbers without a point, as Keras writes counts of steps.
fn count<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if value.fract() == 0.0 && value.abs() < 2f64.powi(53) {
        return serializer.serialize_i64(*value as i64);
    }
    serializer.serialize_f64(*value)
}

/// A rate, factor or count that must be finite and at least 0, or, with `positive`, above 0.
fn require(key: &str, value: f64, positive: bool) -> Result<()> {
    if value.is_finite() && value >= 0.0 && !(positive && value == 0.0) {
        return Ok(());
    }
    let expected = if positive { "above" } else { "of at least" };
    let message = format!("must be a finite number {expected} 0, found {value}");
    Err(Error::config(key, message))
}

#[cfg(test)]
mod tests;
