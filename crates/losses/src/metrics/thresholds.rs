//! Thresholds of metrics, and how often predictions are above them.

use super::totals::wide;
use crate::losses::reduce::weigh;
use crate::shapes;
use candle_core::D;
use sconce_core::schema::Definitions;
use sconce_core::value::mismatch;
use sconce_core::{ConfigValue, DType, Error, Json, Result, Tensor};
use sconce_ops::accuracy::argmax;
use serde_json::json;

/// One threshold or several, in JSON a number or a list.
#[derive(Clone, Debug, PartialEq)]
pub enum Thresholds {
    /// One: the metric is a number.
    One(f64),
    /// Several: the metric has a value for each; logs hold their mean.
    Many(Vec<f64>),
}

impl Thresholds {
    /// As they were given.
    pub fn as_slice(&self) -> &[f64] {
        match self {
            Self::One(threshold) => std::slice::from_ref(threshold),
            Self::Many(thresholds) => thresholds,
        }
    }

    /// Refuses thresholds outside 0..1, and none at all.
    pub(super) fn check(&self) -> Result<()> {
        let message = match self.as_slice().iter().find(|t| !(0.0..=1.0).contains(*t)) {
            Some(wrong) => format!("must be numbers from 0 to 1, found {wrong}"),
            None if self.as_slice().is_empty() => "must hold at least one number".to_string(),
            None => return Ok(()),
        };
        Err(Error::config("thresholds", message))
    }
}

impl From<f64> for Thresholds {
    fn from(threshold: f64) -> Self {
        Self::One(threshold)
    }
}

impl From<Vec<f64>> for Thresholds {
    fn from(thresholds: Vec<f64>) -> Self {
        Self::Many(thresholds)
    }
}

impl ConfigValue for Thresholds {
    fn from_json(value: &Json) -> Result<Self> {
        match value {
            Json::Array(_) => Vec::from_json(value).map(Self::Many),
            _ => f64::from_json(value)
                .map(Self::One)
                .map_err(|_| mismatch("a number or a list of numbers", value)),
        }
    }

    fn to_json(&self) -> Result<Json> {
        match self {
            Self::One(threshold) => threshold.to_json(),
            Self::Many(thresholds) => thresholds.to_json(),
        }
    }

    fn schema(_: &mut Definitions) -> Json {
        json!({
            "type": ["number", "array"], "minimum": 0, "maximum": 1,
            "items": {"type": "number", "minimum": 0, "maximum": 1}, "minItems": 1,
        })
    }
}

/// Ascending thresholds, between which predictions are counted.
#[derive(Clone, Debug)]
pub(super) struct Bins {
    thresholds: Vec<f64>,
    spacing: Spacing,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Spacing {
    /// Any.
    Uneven,
    /// From 0 to 1 in equal steps.
    Even,
    /// As `Even`, but the first is a little below 0 and the last a little above 1.
    Around,
}

/// What is counted. Weights that are not 1 make these sums of weights.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub true_positives: f64,
    pub false_positives: f64,
    pub true_negatives: f64,
    pub false_negatives: f64,
}

impl Bins {
    /// Of any thresholds.
    pub fn of(thresholds: &[f64]) -> Self {
        let last = thresholds.len().saturating_sub(1) as f64;
        let even = |(i, t): (usize, &f64)| {
            let step = i as f64 / last;
            (t - step).abs() <= 1e-7 + 1e-5 * step
        };
        let spacing = match thresholds.len() >= 3 && thresholds.iter().enumerate().all(even) {
            true => Spacing::Even,
            false => Spacing::Uneven,
        };
        let mut thresholds = thresholds.to_vec();
        thresholds.sort_by(f64::total_cmp);
        Self { thresholds, spacing }
    }

    /// Of `count` thresholds from 0 to 1; one is 0.5.
    pub fn even(count: usize) -> Self {
        if count < 2 {
            return Self { thresholds: vec![0.5], spacing: Spacing::Uneven };
        }
        let thresholds = (0..count).map(|i| i as f64 / (count - 1) as f64).collect();
        Self { thresholds, spacing: Spacing::Even }
    }

    /// With the ends moved outside 0..1, so that every prediction is between them.
    pub fn around(mut self) -> Self {
        if let [first, .., last] = self.thresholds.as_mut_slice() {
            (*first, *last) = (-1e-7, 1.0 + 1e-7);
        }
        if self.spacing == Spacing::Even {
            self.spacing = Spacing::Around;
        }
        self
    }

    /// How many bins there are: one below each threshold, and one above all of them.
    pub fn len(&self) -> usize {
        self.thresholds.len() + 1
    }

    /// How many thresholds are below each prediction.
    fn below(&self, y_pred: &Tensor) -> Result<Tensor> {
        let steps = self.thresholds.len().saturating_sub(1) as f64;
        let below = match self.spacing {
            Spacing::Uneven => {
                let mut below = y_pred.zeros_like()?;
                for threshold in &self.thresholds {
                    below = (below + y_pred.gt(*threshold)?.to_dtype(y_pred.dtype())?)?;
                }
                below
            }
            Spacing::Even => (y_pred.clamp(0.0, 1.0)? * steps)?.ceil()?,
            Spacing::Around => (y_pred.clamp(0.0, 1.0)? * steps)?.ceil()?.maximum(1.0)?,
        };
        Ok(below.to_dtype(DType::U32)?)
    }

    /// The weights of positive and of negative targets in each bin, `[labels * bins, 2]`: of the
    /// labels (the last axis) one after the other, or of all of them as one.
    pub fn count(
        &self,
        y_true: &Tensor,
        y_pred: &Tensor,
        weight: Option<&Tensor>,
        each_label: bool,
    ) -> Result<Tensor> {
        let positive = y_true.ne(0.0)?.to_dtype(y_pred.dtype())?;
        let negative = (1.0 - &positive)?;
        let mut bin = self.below(y_pred)?;
        let labels = if each_label { y_pred.dim(D::Minus1)? } else { 1 };
        if each_label {
            let offsets: Vec<u32> = (0..labels).map(|label| (label * self.len()) as u32).collect();
            bin = bin.broadcast_add(&Tensor::new(offsets, y_pred.device())?)?;
        }
        let each = [positive, negative]
            .into_iter()
            .map(|kind| wide(&weigh(kind.into(), weight)?)?.flatten_all().map_err(Into::into))
            .collect::<Result<Vec<_>>>()?;
        let each = Tensor::stack(&each, 1)?.contiguous()?;
        let empty = Tensor::zeros((labels * self.len(), 2), each.dtype(), each.device())?;
        Ok(empty.index_add(&bin.flatten_all()?.contiguous()?, &each, 0)?)
    }

    /// The counts at each threshold, in ascending order, for [`Bins::count`] of one label.
    pub fn curve(&self, bins: &[Vec<f64>]) -> Vec<Counts> {
        let pair = |row: &Vec<f64>| match row.as_slice() {
            [positive, negative] => (*positive, *negative),
            _ => (0.0, 0.0),
        };
        let mut curve = vec![Counts::default(); self.thresholds.len()];
        // Sums from both ends: differences of sums would leave a rest where nothing is left.
        let mut sum = (0.0, 0.0);
        for (counts, (positive, negative)) in curve.iter_mut().zip(bins.iter().map(pair)) {
            sum = (sum.0 + positive, sum.1 + negative);
            (counts.false_negatives, counts.true_negatives) = sum;
        }
        let mut sum = (0.0, 0.0);
        let above = bins.iter().skip(1).map(pair).rev();
        for (counts, (positive, negative)) in curve.iter_mut().rev().zip(above) {
            sum = (sum.0 + positive, sum.1 + negative);
            (counts.true_positives, counts.false_positives) = sum;
        }
        curve
    }

    /// `value` of the counts at each of the thresholds, in the order in which they were given.
    pub fn at(&self, given: &[f64], bins: &[Vec<f64>], value: impl Fn(&Counts) -> f64) -> Vec<f64> {
        let curve = self.curve(bins);
        let at = |t: &f64| curve.get(self.thresholds.partition_point(|known| known < t));
        given.iter().map(|t| at(t).map_or(0.0, &value)).collect()
    }
}

/// Targets and predictions in f32 and of one shape; of one class if `class_id` names it.
pub(super) fn selected(
    y_true: &Tensor,
    y_pred: &Tensor,
    top_k: Option<usize>,
    class_id: Option<usize>,
) -> Result<(Tensor, Tensor)> {
    let (y_true, y_pred) = shapes::align(y_true, y_pred)?;
    let mut y_true = y_true.detach().to_dtype(DType::F32)?;
    let mut y_pred = y_pred.detach().to_dtype(DType::F32)?;
    if let Some(k) = top_k {
        y_pred = only_top(&y_pred, k)?;
    }
    if let Some(class) = class_id {
        let classes = y_pred.dim(D::Minus1)?;
        if y_pred.rank() < 2 || class >= classes {
            return Err(Error::config(
                "class_id",
                format!("must be one of the {classes} classes of the output, found {class}"),
            ));
        }
        y_true = y_true.narrow(D::Minus1, class, 1)?;
        y_pred = y_pred.narrow(D::Minus1, class, 1)?;
    }
    Ok((y_true.contiguous()?, y_pred.contiguous()?))
}

/// The k largest predictions of each row (the first of equal ones) as they are, the others below
/// every threshold.
fn only_top(y_pred: &Tensor, k: usize) -> Result<Tensor> {
    let classes = y_pred.dim(D::Minus1)?;
    let index = Tensor::arange(0, classes as i64, y_pred.device())?;
    let none = (y_pred.zeros_like()? + NONE)?;
    let (mut left, mut top) = (y_pred.clone(), none.clone());
    for _ in 0..k.min(classes) {
        let largest = argmax(&left)?.unsqueeze(D::Minus1)?.broadcast_eq(&index)?;
        top = largest.where_cond(y_pred, &top)?;
        left = largest.where_cond(&(&none * 2.0)?, &left)?;
    }
    Ok(top)
}

/// Keras's `NEG_INF`: the threshold of `top_k`.
pub(super) const NONE: f64 = -1e10;
