//! How often predictions equal targets.

use super::{SampleValues, averaged_metric};
use crate::losses::PerSample;
use crate::shapes;
use sconce_core::{Config, Result, Tensor};

/// The part of values with `y_pred == y_true`. Both `[batch, ..]`. Keras's `Accuracy`; the name
/// `"accuracy"` means the accuracy that goes with the shapes instead.
#[derive(Clone, Debug, Config)]
#[config(dtype)]
pub struct Accuracy {
    /// Its name in logs; left out, `accuracy`.
    #[config(skip_none)]
    pub name: Option<String>,
}

averaged_metric!(Accuracy, Max {});

impl SampleValues for Accuracy {
    fn values(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
        let (y_true, y_pred) = shapes::align(y_true, y_pred)?;
        let hits = y_pred.eq(&y_true.to_dtype(y_pred.dtype())?)?;
        Ok(hits.to_dtype(y_pred.dtype())?.into())
    }
}
