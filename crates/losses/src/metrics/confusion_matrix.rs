//! The confusion matrix of classes, which the IoU metrics are computed from.

use super::totals::wide;
use crate::losses::reduce::weigh;
use crate::shapes;
use sconce_core::{ConfigValue, DType, Dims, Error, Result, Tensor};
use sconce_ops::accuracy::argmax;

/// The type that a confusion matrix counts in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ConfigValue)]
pub enum CountType {
    /// Whole numbers: sample weights are truncated toward zero, as in Keras.
    #[default]
    #[config(name = "int32", alias = "int")]
    Int32,
    /// Whole numbers of 64 bits.
    #[config(name = "int64")]
    Int64,
    /// Sums of the weights as they are.
    #[config(name = "float32")]
    Float32,
}

/// What one of targets and predictions holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Encoding {
    /// Class indices.
    Sparse,
    /// A score for each class along an axis, of which the largest counts.
    Dense { axis: i64 },
    /// One number, which is of class 1 if it is not below the threshold.
    Binary { threshold: f64 },
}

impl Encoding {
    pub fn new(sparse: bool, axis: i64) -> Self {
        if sparse { Self::Sparse } else { Self::Dense { axis } }
    }

    fn labels_dims(self, dims: &Dims) -> Result<Dims> {
        match self {
            Self::Dense { axis } => shapes::without(dims, axis),
            Self::Sparse | Self::Binary { .. } => Ok(dims.clone()),
        }
    }

    /// Class indices, I64; fractions are truncated toward zero, as in Keras.
    fn labels(self, values: &Tensor) -> Result<Tensor> {
        let values = values.detach();
        Ok(match self {
            Self::Sparse => values.to_dtype(DType::I64)?,
            Self::Binary { threshold } => {
                values.to_dtype(DType::F32)?.ge(threshold)?.to_dtype(DType::I64)?
            }
            Self::Dense { axis } => {
                let axis = shapes::axis_of(axis, values.rank())?;
                argmax(&shapes::to_last(&values, axis)?.to_dtype(DType::F32)?.contiguous()?)?
            }
        })
    }
}

/// How a confusion matrix is counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConfusionMatrix {
    pub num_classes: usize,
    pub ignore_class: Option<i64>,
    pub y_true: Encoding,
    pub y_pred: Encoding,
    pub dtype: CountType,
}

impl ConfusionMatrix {
    /// Refuses targets and predictions that are not of as many labels.
    pub fn check_shape(
        &self,
        what: &str,
        name: &str,
        y_true: &[usize],
        y_pred: &Dims,
    ) -> Result<()> {
        let labels = self.y_true.labels_dims(&Dims::known(y_true))?;
        let predicted = self.y_pred.labels_dims(y_pred)?;
        let known: Vec<usize> = labels.0.iter().copied().flatten().collect();
        if shapes::aligned(&known, &predicted) {
            return Ok(());
        }
        let encoded = |encoding: Encoding| match encoding {
            Encoding::Sparse => "class indices".to_string(),
            Encoding::Binary { .. } => "one number a label".to_string(),
            Encoding::Dense { axis } => format!("scores of classes along axis {axis}"),
        };
        Err(Error::data(format!(
            "{name} has shape {y_true:?}, the model's output is {y_pred}; {what} takes targets that are \
             {} and outputs that are {}, of as many labels; `sparse_y_true` and `sparse_y_pred` say \
             which they are",
            encoded(self.y_true),
            encoded(self.y_pred)
        )))
    }

    /// The matrix of a batch, `[classes, classes]`: row = target, column = prediction. Labels that are no
    /// class, and targets that are ignored, are left out.
    pub fn count(
        &self,
        y_true: &Tensor,
        y_pred: &Tensor,
        sample_weight: Option<&Tensor>,
    ) -> Result<Tensor> {
        let classes = self.num_classes as i64;
        let target = self.y_true.labels(y_true)?;
        let predicted = self.y_pred.labels(y_pred)?.reshape(target.shape())?;
        let within = |labels: &Tensor| labels.ge(0i64)? * labels.lt(classes)?;
        let mut counted = (within(&target)? * within(&predicted)?)?;
        if let Some(ignored) = self.ignore_class {
            counted = (counted * target.ne(ignored)?)?;
        }
        let place = ((&target * classes as f64)? + predicted)?;
        let place = counted.where_cond(&place, &place.zeros_like()?)?.to_dtype(DType::U32)?;
        let sample_weight = match (sample_weight, self.dtype) {
            (Some(weight), CountType::Int32 | CountType::Int64) => {
                Some(weight.detach().to_dtype(DType::I64)?)
            }
            (weight, _) => weight.cloned(),
        };
        let weight = weigh(counted.to_dtype(DType::F32)?.into(), sample_weight.as_ref())?;
        let weight = wide(&weight)?.flatten_all()?.contiguous()?;
        let cells = self.num_classes * self.num_classes;
        let empty = Tensor::zeros(cells, weight.dtype(), weight.device())?;
        let counts = empty.index_add(&place.flatten_all()?.contiguous()?, &weight, 0)?;
        Ok(counts.reshape((self.num_classes, self.num_classes))?)
    }
}
