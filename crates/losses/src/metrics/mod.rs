//! Metrics: values that are averaged over the batches of an epoch.
//!
//! Separation of concerns: a [`Metric`] is a configuration, with Keras's keys; [`SampleValues`] is
//! the value of each sample; weights and accumulation are in [`Mean`] once.

mod accuracy;
mod binary_accuracy;
mod binary_crossentropy;
mod categorical_accuracy;
mod categorical_crossentropy;
mod crossentropy;
mod mean;
mod mean_absolute_error;
mod mean_squared_error;
mod resolve;
mod root_mean_squared_error;
mod sparse_categorical_accuracy;
mod sparse_categorical_crossentropy;
mod sparse_top_k_categorical_accuracy;
mod sum;
#[cfg(test)]
mod tests;
mod top_k_categorical_accuracy;

pub use accuracy::Accuracy;
pub use binary_accuracy::BinaryAccuracy;
pub use binary_crossentropy::BinaryCrossentropy;
pub use categorical_accuracy::CategoricalAccuracy;
pub use categorical_crossentropy::CategoricalCrossentropy;
pub use mean::Mean;
pub use mean_absolute_error::MeanAbsoluteError;
pub use mean_squared_error::MeanSquaredError;
pub use resolve::unique_names;
pub use resolve::{log_name, resolve};
pub use root_mean_squared_error::RootMeanSquaredError;
pub use sparse_categorical_accuracy::SparseCategoricalAccuracy;
pub use sparse_categorical_crossentropy::SparseCategoricalCrossentropy;
pub use sparse_top_k_categorical_accuracy::SparseTopKCategoricalAccuracy;
pub use sum::Sum;
pub use top_k_categorical_accuracy::TopKCategoricalAccuracy;

use crate::losses::{Outputs, PerSample};
use sconce_core::registry::Style;
use sconce_core::{Dims, Entry, Error, Kind, Part, Result, Tensor, registry};

/// The table of metrics.
pub struct Metrics;

/// A metric as `compile` takes it: by name, configured, or from JSON.
pub type MetricFn = Part<Metrics>;

impl Kind for Metrics {
    type Object = dyn Metric;
    const NAME: &'static str = "metric";
    const MODULE: &'static str = "keras.metrics";
    const STYLE: Style = Style::AsGiven;
    fn entries() -> &'static [Entry<Self>] {
        Self::ENTRIES
    }

    fn check(object: &Self::Object) -> Result<()> {
        object.check()
    }
}

registry! { Metrics:
    Accuracy = "Accuracy" ["accuracy", "acc"];
    BinaryAccuracy = "BinaryAccuracy" ["binary_accuracy"];
    BinaryCrossentropy = "BinaryCrossentropy" ["binary_crossentropy", "bce"];
    CategoricalAccuracy = "CategoricalAccuracy" ["categorical_accuracy"];
    CategoricalCrossentropy = "CategoricalCrossentropy" ["categorical_crossentropy"];
    MeanAbsoluteError = "MeanAbsoluteError" ["mean_absolute_error", "mae"];
    MeanSquaredError = "MeanSquaredError" ["mean_squared_error", "mse"];
    RootMeanSquaredError = "RootMeanSquaredError" ["root_mean_squared_error"];
    SparseCategoricalAccuracy = "SparseCategoricalAccuracy" ["sparse_categorical_accuracy"];
    SparseCategoricalCrossentropy = "SparseCategoricalCrossentropy" ["sparse_categorical_crossentropy"];
    SparseTopKCategoricalAccuracy = "SparseTopKCategoricalAccuracy" ["sparse_top_k_categorical_accuracy"];
    TopKCategoricalAccuracy = "TopKCategoricalAccuracy" ["top_k_categorical_accuracy"];
}

/// A metric: its configuration, and how it starts.
pub trait Metric: Send + Sync {
    /// Refuses a configuration that cannot work.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Its name in logs, unless it is given by a name, which is then used.
    fn name(&self) -> String;

    /// Refuses targets (called `name` in messages) whose shape does not go with the predictions'.
    /// Nothing is broadcast.
    fn check_shape(&self, name: &str, y_true: &[usize], y_pred: &Dims) -> Result<()>;

    /// The same metric, called `name`, with what was left out filled in from the model, if there is
    /// something to fill in.
    fn resolve(&self, _name: &str, _outputs: &Outputs<'_>) -> Option<MetricFn> {
        None
    }

    /// A fresh accumulation.
    fn start(&self) -> Box<dyn Running>;
}

/// A metric at work.
pub trait Running: Send {
    /// Takes in one batch.
    fn update(
        &mut self,
        y_true: &Tensor,
        y_pred: &Tensor,
        sample_weight: Option<&Tensor>,
    ) -> Result<()>;

    /// The value so far. The only read of the device.
    fn result(&self) -> Result<f64>;

    /// Starts over.
    fn reset(&mut self);
}

/// A metric that is the mean of a value for each sample.
pub trait SampleValues: Send + 'static {
    /// The values `[batch, ..]`.
    fn values(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample>;

    /// The metric of the mean of the values.
    fn finish(&self, mean: f64) -> f64 {
        mean
    }
}

/// A metric that averages `values` over samples and batches, for [`Metric::start`].
pub fn averaged(values: impl SampleValues) -> Box<dyn Running> {
    Box::new(Averaged { values, mean: Mean::new() })
}

struct Averaged<V> {
    values: V,
    mean: Mean,
}

impl<V: SampleValues> Running for Averaged<V> {
    fn update(
        &mut self,
        y_true: &Tensor,
        y_pred: &Tensor,
        sample_weight: Option<&Tensor>,
    ) -> Result<()> {
        let PerSample { values, mask } = self.values.values(y_true, y_pred)?;
        match (sample_weight, mask) {
            // Keras leaves values that do not count out of weighted means only.
            (Some(weight), Some(mask)) => {
                let weight = crate::losses::reduce::weigh(mask.into(), Some(weight))?;
                self.mean.update(&values, Some(&weight))
            }
            (weight, _) => self.mean.update(&values, weight),
        }
    }

    fn result(&self) -> Result<f64> {
        Ok(self.values.finish(self.mean.result()?))
    }

    fn reset(&mut self) {
        self.mean.reset();
    }
}

/// `k` of the top-k metrics.
fn check_k(k: usize) -> Result<()> {
    if k > 0 {
        return Ok(());
    }
    Err(Error::config("k", "must be at least 1, found 0"))
}
