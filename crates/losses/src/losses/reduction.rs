//! How the losses of a batch are reduced to one.

use serde::{Deserialize, Serialize};

/// How the values of a batch are reduced to one: Keras's `reduction`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", from = "Option<Name>")]
pub enum Reduction {
    /// Their weighted sum divided by their number, without masked ones; `"mean"` is the same.
    #[default]
    SumOverBatchSize,
    /// Their weighted sum.
    Sum,
    /// Their weighted sum divided by the sum of their weights.
    MeanWithSampleWeight,
    /// No reduction, written `"none"` or `null`. Training needs a scalar and takes the mean.
    None,
}

/// The names in JSON.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Name {
    SumOverBatchSize,
    Mean,
    Sum,
    MeanWithSampleWeight,
    None,
}

impl From<Option<Name>> for Reduction {
    fn from(name: Option<Name>) -> Self {
        match name {
            Some(Name::SumOverBatchSize | Name::Mean) => Self::SumOverBatchSize,
            Some(Name::Sum) => Self::Sum,
            Some(Name::MeanWithSampleWeight) => Self::MeanWithSampleWeight,
            Some(Name::None) | None => Self::None,
        }
    }
}
