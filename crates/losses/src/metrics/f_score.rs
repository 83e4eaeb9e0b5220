//! What F scores have in common.

use super::totals::wide;
use crate::losses::reduce::weigh;
use crate::shapes;
use candle_core::D;
use sconce_core::{ConfigValue, DType, Dims, Error, Result, Tensor};
use sconce_ops::losses::EPSILON;

/// How the values of classes are averaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ConfigValue)]
pub enum Average {
    /// The score of the counts of all classes.
    Micro,
    /// The mean of the scores.
    Macro,
    /// The mean weighted by the number of positive targets.
    Weighted,
}

/// Refuses what is not `[batch, classes]`.
pub(super) fn check_shape(what: &str, name: &str, y_true: &[usize], y_pred: &Dims) -> Result<()> {
    if y_pred.rank() != 2 || y_true.len() != 2 {
        return Err(Error::data(format!(
            "{name} has shape {y_true:?}, the model's output is {y_pred}; {what} takes targets and \
             outputs of shape [batch, classes]"
        )));
    }
    shapes::check_aligned(what, name, y_true, y_pred)
}

/// True positives, false positives, false negatives and positive targets of each class.
pub(super) fn counts(
    y_true: &Tensor,
    y_pred: &Tensor,
    sample_weight: Option<&Tensor>,
    threshold: Option<f64>,
) -> Result<Tensor> {
    let y_pred = y_pred.detach().to_dtype(DType::F32)?;
    let positive = match threshold {
        Some(threshold) => y_pred.gt(threshold)?,
        // The largest, unless it is 0, as in Keras.
        None => {
            let largest = y_pred.broadcast_ge(&y_pred.max_keepdim(D::Minus1)?)?;
            (largest * y_pred.abs()?.gt(1e-9)?)?
        }
    };
    let positive = positive.to_dtype(DType::F32)?;
    let y_true = y_true.detach().to_dtype(DType::F32)?;
    let rows = [
        (&positive * &y_true)?,
        (&positive * (1.0 - &y_true)?)?,
        ((1.0 - &positive)? * &y_true)?,
        y_true,
    ]
    .into_iter()
    .map(|values| Ok(wide(&weigh(values.into(), sample_weight)?)?.sum(0)?))
    .collect::<Result<Vec<_>>>()?;
    Ok(Tensor::stack(&rows, 0)?)
}

/// The score of each class, or their average, for sums of [`counts`].
pub(super) fn score(sums: &[Vec<f64>], average: Option<Average>, beta: f64) -> Vec<f64> {
    let [tp, fp, fal, targets] = sums else { return vec![0.0] };
    let f = |tp: f64, fp: f64, fal: f64| {
        let (precision, recall) = (tp / (tp + fp + EPSILON), tp / (tp + fal + EPSILON));
        let square = beta * beta;
        (1.0 + square) * precision * recall / (square * precision + recall + EPSILON)
    };
    let total = |values: &Vec<f64>| values.iter().sum::<f64>();
    let scores: Vec<f64> =
        tp.iter().zip(fp).zip(fal).map(|((tp, fp), fal)| f(*tp, *fp, *fal)).collect();
    match average {
        None => scores,
        Some(Average::Micro) => vec![f(total(tp), total(fp), total(fal))],
        Some(Average::Macro) => vec![total(&scores) / scores.len().max(1) as f64],
        Some(Average::Weighted) => {
            let all = total(targets) + EPSILON;
            vec![scores.iter().zip(targets).map(|(score, weight)| score * weight / all).sum()]
        }
    }
}
