//! Metrics: values that are averaged over the batches of an epoch.

mod sparse_categorical_accuracy;

pub use sparse_categorical_accuracy::SparseCategoricalAccuracy;

use sconce_core::{Entry, Kind, Part, Result, Tensor, registry};

/// The table of metrics.
pub struct Metrics;

/// A metric as `compile` takes it: by name, configured, or from JSON.
pub type MetricFn = Part<Metrics>;

impl Kind for Metrics {
    type Object = dyn Metric;
    const NAME: &'static str = "metric";
    const MODULE: &'static str = "keras.metrics";
    fn entries() -> &'static [Entry<Self>] {
        Self::ENTRIES
    }
}

registry! { Metrics:
    SparseCategoricalAccuracy = "SparseCategoricalAccuracy" ["sparse_categorical_accuracy"];
}

/// A metric: how it starts.
pub trait Metric: Send + Sync {
    /// Its name in logs.
    fn name(&self) -> String;

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

/// A weighted mean that grows. On the CPU it is kept in f64; on other devices it stays there until
/// it is read.
#[derive(Debug, Default)]
pub struct Mean {
    total: f64,
    on_device: Option<Tensor>,
    weight: f64,
}

impl Mean {
    /// Adds a scalar that stands for `weight` samples.
    pub fn add(&mut self, value: &Tensor, weight: f64) -> Result<()> {
        self.weight += weight;
        let value = value.detach().to_dtype(sconce_core::DType::F32)?;
        if value.device().is_cpu() {
            self.total += f64::from(value.to_scalar::<f32>()?) * weight;
            return Ok(());
        }
        let value = (value * weight)?;
        self.on_device = Some(match &self.on_device {
            Some(total) => (total + value)?,
            None => value,
        });
        Ok(())
    }

    /// Adds a sum on the host over `weight` samples.
    pub fn add_total(&mut self, total: f64, weight: f64) {
        self.total += total;
        self.weight += weight;
    }

    /// The mean so far; 0 of nothing, as in Keras.
    pub fn result(&self) -> Result<f64> {
        let on_device = match &self.on_device {
            Some(total) => f64::from(total.to_scalar::<f32>()?),
            None => 0.0,
        };
        if self.weight == 0.0 {
            return Ok(0.0);
        }
        Ok((self.total + on_device) / self.weight)
    }

    /// Starts over.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}
