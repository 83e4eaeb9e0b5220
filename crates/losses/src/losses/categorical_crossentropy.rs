//! Categorical crossentropy: for targets that are a distribution over classes, such as one-hot rows.

use super::{Loss, LossFn, Outputs, PerSample, Reduction, check_smoothing, common_builders};
use crate::dtype::Float32;
use crate::shapes;
use sconce_core::{Dims, Error, Result, Tensor};
use sconce_ops::Operation;
use sconce_ops::losses::{ProbabilityCrossentropy, SoftmaxCrossentropy, Target};
use serde::{Deserialize, Serialize};

/// `-sum(t ln(p))` over `axis`. y_true and y_pred `[batch, .., classes]`, values `[batch, ..]`.
/// Keras's `CategoricalCrossentropy`.
///
/// Probabilities are divided by their sum and clipped to 1e-7..1 - 1e-7. From logits, softmax and
/// logarithm are one operation, which does not overflow.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CategoricalCrossentropy {
    /// Whether predictions are logits. Left out: they are, unless the compiled model ends in a
    /// softmax or sigmoid.
    pub from_logits: Option<bool>,
    /// Label smoothing `s`: targets `t` become `t (1 - s) + s / classes`. Default 0.
    pub label_smoothing: f64,
    /// The axis of the classes. Default -1.
    pub axis: i64,
    /// How the values of a batch are reduced to one. Default `sum_over_batch_size`.
    pub reduction: Reduction,
    /// Its name. Default `categorical_crossentropy`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The type it computes in.
    #[serde(skip_serializing)]
    pub dtype: Float32,
}

common_builders!(CategoricalCrossentropy);

impl Default for CategoricalCrossentropy {
    fn default() -> Self {
        Self {
            from_logits: None,
            label_smoothing: 0.0,
            axis: -1,
            reduction: Reduction::default(),
            name: None,
            dtype: Float32,
        }
    }
}

impl CategoricalCrossentropy {
    /// Says whether predictions are logits.
    pub fn from_logits(mut self, from_logits: bool) -> Self {
        self.from_logits = Some(from_logits);
        self
    }

    /// Sets the label smoothing.
    pub fn label_smoothing(mut self, label_smoothing: f64) -> Self {
        self.label_smoothing = label_smoothing;
        self
    }

    /// Sets the axis of the classes.
    pub fn axis(mut self, axis: i64) -> Self {
        self.axis = axis;
        self
    }
}

impl Loss for CategoricalCrossentropy {
    fn check(&self) -> Result<()> {
        check_smoothing(self.label_smoothing)
    }

    fn per_sample(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
        let mut y_true = y_true.to_dtype(y_pred.dtype())?;
        if self.label_smoothing != 0.0 {
            // Keras counts the classes on the last axis, whatever `axis` says.
            let classes = y_true.dim(candle_core::D::Minus1)? as f64;
            y_true = y_true.affine(1.0 - self.label_smoothing, self.label_smoothing / classes)?;
        }
        let axis = shapes::axis_of(self.axis, y_pred.rank())?;
        let target = Target::Weights(shapes::to_last(&y_true, axis)?.contiguous()?);
        let y_pred = shapes::to_last(y_pred, axis)?;
        let values = match self.from_logits.unwrap_or(true) {
            true => SoftmaxCrossentropy::new(target).apply(&[&y_pred])?,
            false => ProbabilityCrossentropy::new(target).apply(&[&y_pred])?,
        };
        Ok(values.into())
    }

    fn values_dims(&self, y_pred: &Dims) -> Result<Dims> {
        shapes::without(y_pred, self.axis)
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }

    fn check_shape(&self, name: &str, y_true: &[usize], y_pred: &Dims) -> Result<()> {
        let axis = shapes::axis_of(self.axis, y_pred.rank())?;
        if y_pred.0.get(axis) == Some(&Some(1)) {
            return Err(Error::data(format!(
                "the model's output is {y_pred}; categorical_crossentropy of one class is always 0. \
                 For two classes with one output use binary_crossentropy"
            )));
        }
        if y_pred.fits(y_true) {
            return Ok(());
        }
        shapes::check_aligned(&Loss::name(self), name, y_true, y_pred)
    }

    fn takes_logits(&self) -> Option<Option<bool>> {
        Some(self.from_logits)
    }

    fn resolve(&self, outputs: &Outputs<'_>) -> Result<Option<LossFn>> {
        let resolved = || self.clone().from_logits(outputs.logits).into();
        Ok(self.from_logits.is_none().then(resolved))
    }
}
