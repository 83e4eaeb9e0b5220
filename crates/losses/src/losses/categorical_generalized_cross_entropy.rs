//! Generalized crossentropy: for labels of which some are wrong.

use super::crossentropy::{check_labels, classes_axis, labels_like};
use super::{Loss, PerSample, Reduction};
use crate::shapes;
use sconce_core::{Config, DType, Dims, Result, Tensor};
use sconce_ops::losses::{GeneralizedCrossentropy, Target, sum_loss};

/// `(1 - p_label^q) / q`. Labels `[batch, ..]` (or `[batch, .., 1]`), predicted probabilities
/// `[batch, .., classes]`, values `[batch, ..]`. Keras's `CategoricalGeneralizedCrossEntropy`.
///
/// Zhang, Sabuncu, "Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy Labels",
/// 2018.
#[derive(Clone, Debug, Config)]
#[config(dtype)]
pub struct CategoricalGeneralizedCrossEntropy {
    /// Towards 0 it is the crossentropy, towards 1 the mean absolute error, which wrong labels disturb less.
    #[config(default = 0.5, range = "(0, 1)")]
    pub q: f64,
    /// How the values of a batch are reduced to one.
    #[config(default, null = Reduction::None)]
    pub reduction: Reduction,
    /// Its name; left out, `categorical_generalized_cross_entropy`.
    #[config(skip_none)]
    pub name: Option<String>,
}

impl Loss for CategoricalGeneralizedCrossEntropy {
    fn per_sample(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
        let one_hot = Target::labels(labels_like(y_true, y_pred)?).weights(y_pred)?;
        Ok(sum_loss(GeneralizedCrossentropy { q: self.q }, &one_hot, y_pred)?.into())
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }

    fn check_shape(&self, name: &str, y_true: &[usize], y_pred: &Dims) -> Result<()> {
        let what = Loss::name(self);
        let axis = classes_axis(&what, -1, y_pred)?;
        shapes::check_labels_shape(&what, name, y_true, y_pred, axis)
    }

    fn check_values(&self, name: &str, y_true: &Tensor, y_pred: &Dims) -> Result<()> {
        check_labels(name, y_true, y_pred, -1, None)
    }

    fn target_dtype(&self) -> DType {
        DType::I64
    }
}
