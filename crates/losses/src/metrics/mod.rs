//! Metrics: values that are accumulated over the batches of an epoch.
//!
//! Separation of concerns: a [`Metric`] is a configuration, with Keras's keys; a [`MetricState`]
//! accumulates; [`SampleValues`] is the value of each sample, for metrics that are a mean of such
//! values, weighted and accumulated by [`Mean`].

mod accuracy;
mod at_constraint;
mod auc;
mod binary_accuracy;
mod categorical_accuracy;
mod concordance_correlation;
mod confusion_counts;
mod confusion_matrix;
mod cosine_similarity;
mod custom;
mod f1_score;
mod f_score;
mod fbeta_score;
mod from_loss;
mod goal;
mod iou;
mod log_cosh_error;
mod loss_metrics;
mod mean;
mod pearson_correlation;
mod precision_recall;
mod r2_score;
mod resolve;
mod root_mean_squared_error;
mod sparse_categorical_accuracy;
mod sparse_top_k_categorical_accuracy;
mod sum;
#[cfg(test)]
mod tests;
mod thresholds;
mod top_k_categorical_accuracy;
mod total;
mod totals;

pub use accuracy::Accuracy;
pub use at_constraint::{
    PrecisionAtRecall, RecallAtPrecision, SensitivityAtSpecificity, SpecificityAtSensitivity,
};
pub use auc::{Auc, Curve, SummationMethod};
pub use binary_accuracy::BinaryAccuracy;
pub use categorical_accuracy::CategoricalAccuracy;
pub use concordance_correlation::ConcordanceCorrelation;
pub use confusion_counts::{FalseNegatives, FalsePositives, TrueNegatives, TruePositives};
pub use confusion_matrix::CountType;
pub use cosine_similarity::CosineSimilarity;
pub use custom::custom_metric;
pub use f_score::Average;
pub use f1_score::F1Score;
pub use fbeta_score::FBetaScore;
pub use from_loss::loss_metric;
pub use goal::Goal;
pub use iou::{BinaryIoU, IoU, MeanIoU, OneHotIoU, OneHotMeanIoU};
pub use log_cosh_error::LogCoshError;
pub use loss_metrics::{
    BinaryCrossentropy, CategoricalCrossentropy, CategoricalHinge, Hinge, KLDivergence,
    MeanAbsoluteError, MeanAbsolutePercentageError, MeanSquaredError, MeanSquaredLogarithmicError,
    Poisson, SparseCategoricalCrossentropy, SquaredHinge,
};
pub use mean::Mean;
pub use pearson_correlation::PearsonCorrelation;
pub use precision_recall::{Precision, Recall};
pub use r2_score::{ClassAggregation, R2Score};
pub use resolve::{log_name, resolve};
pub use root_mean_squared_error::RootMeanSquaredError;
pub use sparse_categorical_accuracy::SparseCategoricalAccuracy;
pub use sparse_top_k_categorical_accuracy::SparseTopKCategoricalAccuracy;
pub use sum::Sum;
pub use thresholds::Thresholds;
pub use top_k_categorical_accuracy::TopKCategoricalAccuracy;

use crate::losses::{Outputs, PerSample};
use crate::shapes;
use sconce_core::json::Map;
use sconce_core::names::snake_case_of;
use sconce_core::registry::Style;
use sconce_core::schema::Definitions;
use sconce_core::{Dims, Entry, Json, Kind, Part, Result, Tensor, registry};

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

    fn read_other(object: &Map) -> Option<Result<MetricFn>> {
        from_loss::read(object)
    }

    fn other_schemas(definitions: &mut Definitions) -> Vec<Json> {
        from_loss::schemas(definitions)
    }
}

registry! { Metrics(Metric):
    Accuracy ["accuracy", "acc"];
    Auc ["auc"];
    BinaryAccuracy ["binary_accuracy"];
    BinaryCrossentropy ["binary_crossentropy", "bce"];
    BinaryIoU ["binary_io_u"];
    CategoricalAccuracy ["categorical_accuracy"];
    CategoricalCrossentropy ["categorical_crossentropy"];
    CategoricalHinge ["categorical_hinge"];
    ConcordanceCorrelation ["concordance_correlation"];
    CosineSimilarity ["cosine_similarity"];
    F1Score ["f1_score"];
    FBetaScore ["f_beta_score", "fbeta_score"];
    FalseNegatives ["false_negatives"];
    FalsePositives ["false_positives"];
    Hinge ["hinge"];
    IoU ["io_u"];
    KLDivergence ["kl_divergence", "kld"];
    LogCoshError ["log_cosh_error", "logcosh"];
    MeanAbsoluteError ["mean_absolute_error", "mae"];
    MeanAbsolutePercentageError ["mean_absolute_percentage_error", "mape"];
    MeanIoU ["mean_io_u"];
    MeanSquaredError ["mean_squared_error", "mse"];
    MeanSquaredLogarithmicError ["mean_squared_logarithmic_error", "msle"];
    OneHotIoU ["one_hot_io_u"];
    OneHotMeanIoU ["one_hot_mean_io_u"];
    PearsonCorrelation ["pearson_correlation"];
    Poisson ["poisson"];
    Precision ["precision"];
    PrecisionAtRecall ["precision_at_recall"];
    R2Score ["r2_score"];
    Recall ["recall"];
    RecallAtPrecision ["recall_at_precision"];
    RootMeanSquaredError ["root_mean_squared_error"];
    SensitivityAtSpecificity ["sensitivity_at_specificity"];
    SparseCategoricalAccuracy ["sparse_categorical_accuracy"];
    SparseCategoricalCrossentropy ["sparse_categorical_crossentropy"];
    SparseTopKCategoricalAccuracy ["sparse_top_k_categorical_accuracy"];
    SpecificityAtSensitivity ["specificity_at_sensitivity"];
    SquaredHinge ["squared_hinge"];
    TopKCategoricalAccuracy ["top_k_categorical_accuracy"];
    TrueNegatives ["true_negatives"];
    TruePositives ["true_positives"];
}

/// The configuration of a metric.
pub trait Metric: Send + Sync {
    /// Refuses an invalid configuration.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Its name in logs, unless it is given by a name, which is then used. Default: the type's name
    /// in snake case.
    fn name(&self) -> String {
        snake_case_of::<Self>()
    }

    /// Whether lower or higher is better. `None` if it is not known: callbacks then need a `mode`.
    fn goal(&self) -> Option<Goal> {
        None
    }

    /// Refuses targets (called `name` in messages) whose shape does not match the predictions'.
    /// Nothing is broadcast. Default: both have one shape, up to a last axis of size 1.
    fn check_shape(&self, name: &str, y_true: &[usize], y_pred: &Dims) -> Result<()> {
        shapes::check_aligned(&snake_case_of::<Self>(), name, y_true, y_pred)
    }

    /// The same metric, called `name`, with what was left out filled in from the model. `None` if
    /// nothing was left out.
    fn resolve(&self, _name: &str, _outputs: &Outputs<'_>) -> Option<MetricFn> {
        None
    }

    /// An empty state.
    fn new_state(&self) -> Box<dyn MetricState>;
}

/// What a metric accumulates over batches.
pub trait MetricState: Send + Sync {
    /// Adds one batch. Does not read the device.
    fn update(
        &mut self,
        y_true: &Tensor,
        y_pred: &Tensor,
        sample_weight: Option<&Tensor>,
    ) -> Result<()>;

    /// The metric of the batches so far. The only read of the device.
    fn result(&self) -> Result<f64>;

    /// Every value of a metric that has several, such as one for each class; [`MetricState::result`] is
    /// their mean. Reads the device.
    fn values(&self) -> Result<Vec<f64>> {
        Ok(vec![self.result()?])
    }

    /// Whether a mask of the predictions excludes their masked steps, as from every mean over samples.
    /// Default: `false`, as in Keras's metrics that count.
    fn takes_mask(&self) -> bool {
        false
    }

    /// Empties the state.
    fn reset(&mut self);

    /// Everything accumulated, as tensors on the devices they are on.
    fn state(&self) -> Result<Vec<Tensor>>;

    /// Continues exactly from a [`MetricState::state`] of the same metric.
    ///
    /// # Errors
    /// If `state` is that of another metric; then nothing is changed.
    fn restore(&mut self, state: &[Tensor]) -> Result<()>;
}

/// The values of a metric that is a mean over samples.
pub trait SampleValues: Send + Sync + 'static {
    /// The value of each sample, `[batch, ..]`.
    fn values(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample>;

    /// Whether a mask of the predictions excludes their masked steps. Default: `true`, as in Keras's
    /// `MeanMetricWrapper`.
    fn takes_mask(&self) -> bool {
        true
    }

    /// The metric as a function of the mean of the values. Default: the mean itself.
    fn finish(&self, mean: f64) -> f64 {
        mean
    }
}

/// The state of a metric that is the mean of `values` over samples and batches, for
/// [`Metric::new_state`].
pub fn averaged(values: impl SampleValues) -> Box<dyn MetricState> {
    Box::new(Averaged { values, mean: Mean::new() })
}

struct Averaged<V> {
    values: V,
    mean: Mean,
}

impl<V: SampleValues> MetricState for Averaged<V> {
    fn update(
        &mut self,
        y_true: &Tensor,
        y_pred: &Tensor,
        sample_weight: Option<&Tensor>,
    ) -> Result<()> {
        let PerSample { values, mask } = self.values.values(y_true, y_pred)?;
        match (sample_weight, mask) {
            // Keras excludes masked values from weighted means only.
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

    fn takes_mask(&self) -> bool {
        self.values.takes_mask()
    }

    fn reset(&mut self) {
        self.mean.reset();
    }

    fn state(&self) -> Result<Vec<Tensor>> {
        self.mean.state()
    }

    fn restore(&mut self, state: &[Tensor]) -> Result<()> {
        self.mean.restore(state)
    }
}

/// The parts of [`Metric`] that are the same for means over samples whose configuration has a `name`:
/// the type, its [`Goal`], its name in logs if it is not the type's, and further methods in braces.
macro_rules! averaged_metric {
    ($ty:ident, $goal:ident { $($method:item)* }) => {
        averaged_metric!($ty, $goal (sconce_core::names::snake_case_of::<Self>()) { $($method)* });
    };
    ($ty:ident, $goal:ident $name:literal { $($method:item)* }) => {
        averaged_metric!($ty, $goal ($name.to_string()) { $($method)* });
    };
    ($ty:ident, $goal:ident ($name:expr) { $($method:item)* }) => {
        impl $crate::metrics::Metric for $ty {
            fn name(&self) -> String {
                self.name.clone().unwrap_or_else(|| $name)
            }

            fn goal(&self) -> Option<$crate::metrics::Goal> {
                Some($crate::metrics::Goal::$goal)
            }

            fn new_state(&self) -> Box<dyn $crate::metrics::MetricState> {
                $crate::metrics::averaged(self.clone())
            }

            $($method)*
        }
    };
}
use averaged_metric;
