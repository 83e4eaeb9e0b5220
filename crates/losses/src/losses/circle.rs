//! Circle loss: embeddings in which samples of one class are near each other.

use super::{Loss, PerSample, Reduction};
use crate::shapes;
use candle_core::D;
use sconce_core::{Config, DType, Dims, Error, Result, Tensor};
use sconce_ops::activations::{Activation, Softplus};

/// With the distances `d_ij = max(1 - y_pred_i y_pred_j, 0)` between the samples of a batch, the value of
/// sample i is `softplus(P + N)`: `P = ln(sum(e^(-gamma max(margin + d, 0) (margin - d))))` over the
/// samples of its class, `N = ln(sum(e^(gamma max(1 + margin - d, 0) (1 - margin - d))))` over those of others.
/// Samples for which that is 0, such as those without another of their class, are excluded from the
/// mean. y_true class indices `[batch]` or `[batch, 1]`, y_pred `[batch, d]` of norm 1, values `[batch]`.
/// Keras's `Circle`.
///
/// Sun et al., "Circle Loss: A Unified Perspective of Pair Similarity Optimization", 2020.
#[derive(Clone, Debug, Config)]
#[config(dtype)]
pub struct Circle {
    /// The scale of the weighted distances.
    #[config(default = 80.0, range = "(0, inf)")]
    pub gamma: f64,
    /// The margin between distances within and between classes.
    #[config(default = 0.4, range = "(-inf, inf)")]
    pub margin: f64,
    /// Whether a sample does not count as one of its own class.
    #[config(default = true)]
    pub remove_diagonal: bool,
    /// How the values of a batch are reduced to one.
    #[config(default, null = Reduction::None)]
    pub reduction: Reduction,
    /// Its name; left out, `circle`.
    #[config(skip_none)]
    pub name: Option<String>,
}

impl Loss for Circle {
    fn per_sample(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
        let labels = shapes::labels(y_true)?.flatten_all()?;
        let rows = labels.elem_count();
        let similarities = y_pred.matmul(&y_pred.t()?.contiguous()?)?;
        let distance = (1.0 - similarities)?.maximum(0.0)?;
        let same = labels.reshape((rows, 1))?.broadcast_eq(&labels.reshape((1, rows))?)?;
        let other = same.eq(0u8)?;
        let same = match self.remove_diagonal {
            true => (same * Tensor::eye(rows, DType::U8, y_pred.device())?.eq(0u8)?)?,
            false => same,
        };
        let (gamma, margin) = (self.gamma, self.margin);
        let near = (&distance + margin)?.maximum(0.0)?;
        let near = ((near * -gamma)? * (margin - &distance)?)?;
        let far = (1.0 + margin - &distance)?.maximum(0.0)?;
        let far = ((far * gamma)? * (1.0 - margin - &distance)?)?;
        let sum = (log_sum_exp(&near, &same)? + log_sum_exp(&far, &other)?)?;
        let values = Softplus {}.call(&sum)?;
        let mask = values.detach().gt(0.0)?.to_dtype(values.dtype())?;
        Ok(PerSample { values, mask: Some(mask) })
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }

    fn check_shape(&self, name: &str, y_true: &[usize], y_pred: &Dims) -> Result<()> {
        let what = Loss::name(self);
        if y_pred.rank() != 2 {
            return Err(Error::data(format!(
                "the model's output is {y_pred}; {what} takes an embedding for each sample, (None, d)"
            )));
        }
        shapes::check_labels_shape(&what, name, y_true, y_pred, 1)
    }

    fn target_dtype(&self) -> DType {
        DType::I64
    }
}

/// `ln(sum(e^x))` of each row over the elements of the mask; about -1e30 where there are none.
fn log_sum_exp(x: &Tensor, mask: &Tensor) -> Result<Tensor> {
    let none = (x.zeros_like()? - 1e30)?;
    let x = mask.where_cond(x, &none)?;
    let largest = x.detach().max_keepdim(D::Minus1)?;
    let sum = x.broadcast_sub(&largest)?.exp()?.sum_keepdim(D::Minus1)?;
    Ok((sum.log()? + largest)?.squeeze(D::Minus1)?)
}
