//! CTC loss: for sequences of labels that are not aligned with the frames, as in speech.

use super::{Loss, PerSample, Reduction};
use crate::shapes;
use sconce_core::{Config, DType, Dims, Error, Result, Tensor};
use sconce_ops::Operation;
use sconce_ops::losses;

/// `-ln` of the probability of the labels: of all ways to write one class or the blank for each frame that
/// give the labels once equal neighbours are merged and blanks removed. y_true `[batch, length]`: class
/// indices from 1 on, padded with 0 at the end; y_pred logits `[batch, frames, classes]`, class 0 the blank;
/// values `[batch]`. Labels too long for the frames have a loss of about 1e5, as in Keras. Keras's `CTC`.
///
/// Graves et al., "Connectionist Temporal Classification: Labelling Unsegmented Sequence Data with Recurrent
/// Neural Networks", 2006.
#[derive(Clone, Debug, Config)]
#[config(name = "CTC", dtype)]
pub struct Ctc {
    /// How the values of a batch are reduced to one.
    #[config(default, null = Reduction::None)]
    pub reduction: Reduction,
    /// Its name; left out, `ctc`.
    #[config(skip_none)]
    pub name: Option<String>,
}

impl Loss for Ctc {
    fn per_sample(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
        Ok(losses::Ctc::new(shapes::labels(y_true)?).apply(&[y_pred])?.into())
    }

    fn values_dims(&self, y_pred: &Dims) -> Result<Dims> {
        Ok(Dims(y_pred.0.iter().take(1).copied().collect()))
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }

    fn check_shape(&self, name: &str, y_true: &[usize], y_pred: &Dims) -> Result<()> {
        let rows = y_pred.0.first().copied().flatten();
        let same_rows = |batch: usize| rows.is_none_or(|rows| rows == batch);
        match (y_true, y_pred.0.as_slice()) {
            (&[batch, _], &[_, frames, _]) if same_rows(batch) && frames != Some(0) => Ok(()),
            _ => Err(Error::data(format!(
                "{name} has shape {y_true:?}, the model's output is {y_pred}; ctc takes labels of shape \
                 [batch, length] and logits of shape [batch, frames, classes]"
            ))),
        }
    }

    fn check_values(&self, name: &str, y_true: &Tensor, y_pred: &Dims) -> Result<()> {
        super::crossentropy::check_labels(name, y_true, y_pred, -1, None)?;
        let rows = y_true.to_dtype(DType::I64)?.to_vec2::<i64>()?;
        let after_padding =
            |row: &Vec<i64>| row.iter().skip_while(|label| **label != 0).any(|label| *label != 0);
        match rows.iter().position(after_padding) {
            None => Ok(()),
            Some(row) => Err(Error::data(format!(
                "{name} holds labels after a 0 in row {row}; 0 is the blank of ctc and pads labels at \
                 their end, classes are numbered from 1 on"
            ))),
        }
    }

    fn target_dtype(&self) -> DType {
        DType::I64
    }
}
