//! How the losses of a batch are reduced to one.

use sconce_core::ConfigValue;

/// How the values of a batch are reduced to one: Keras's `reduction`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ConfigValue)]
pub enum Reduction {
    /// Their weighted sum divided by their number, without masked ones; `"mean"` is the same.
    #[default]
    #[config(alias = "mean")]
    SumOverBatchSize,
    /// Their weighted sum.
    Sum,
    /// Their weighted sum divided by the sum of their weights.
    MeanWithSampleWeight,
    /// No reduction, written `"none"` or `null`. Training needs a scalar and takes the mean.
    None,
}
