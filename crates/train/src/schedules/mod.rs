//! Learning rate schedules.

use sconce_core::{Entry, Json, Kind, Part, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A learning rate as a function of the number of updates so far.
pub trait Schedule: Send + Sync {
    /// The rate of the update after `step` others.
    fn at(&self, step: u64) -> f64;
}

/// The table of schedules.
pub struct Schedules;

impl Kind for Schedules {
    type Object = dyn Schedule;
    const NAME: &'static str = "learning rate schedule";
    const MODULE: &'static str = "keras.optimizers.schedules";
    fn entries() -> &'static [Entry<Self>] {
        &[]
    }
}

/// A learning rate: a number, or a schedule.
#[derive(Clone, Debug)]
pub enum LearningRate {
    /// The same for every update.
    Constant(f64),
    /// A function of the number of updates.
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
