//! The area under a curve over all thresholds.

use super::thresholds::{Bins, Counts, selected};
use super::totals::{Sums, divide_no_nan, totalled};
use super::{Goal, Metric, MetricFn, MetricState};
use crate::losses::Outputs;
use crate::losses::reduce::weigh;
use sconce_core::{Config, ConfigValue, Error, Result, Tensor};
use sconce_ops::activations::{Activation, Sigmoid};

/// The curve of an `AUC`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ConfigValue)]
pub enum Curve {
    /// Recall over the rate of false positives.
    #[default]
    #[config(name = "ROC", alias = "roc")]
    Roc,
    /// Precision over recall.
    #[config(name = "PR", alias = "pr")]
    Pr,
    /// Precision gain over recall gain. Flach, Kull, "Precision-Recall-Gain Curves", 2015.
    #[config(name = "PRGAIN", alias = "prgain")]
    PrGain,
}

/// How an `AUC` is summed between thresholds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ConfigValue)]
pub enum SummationMethod {
    /// The mean of both heights; for the PR curve, interpolated counts (Davis, Goadrich, "The
    /// Relationship Between Precision-Recall and ROC Curves", 2006).
    #[default]
    #[config(alias = "Interpolation")]
    Interpolation,
    /// The larger height.
    #[config(alias = "Majoring")]
    Majoring,
    /// The smaller height.
    #[config(alias = "Minoring")]
    Minoring,
}

/// The area under the ROC or PR curve, approximated at thresholds. Targets 0 or 1, predictions from 0 to
/// 1, both `[batch, ..]`, or `[batch, labels]` for `multi_label`. Keras's `AUC`.
#[derive(Clone, Debug, Config)]
#[config(name = "AUC", dtype)]
pub struct Auc {
    /// The number of thresholds, from 0 to 1.
    #[config(default = 200, range = "[2, 1000000]")]
    pub num_thresholds: usize,
    /// The curve.
    #[config(default)]
    pub curve: Curve,
    /// How it is summed between thresholds.
    #[config(default)]
    pub summation_method: SummationMethod,
    /// Whether it is the mean over the areas of each label, not the area of all of them as one.
    #[config(default = false)]
    pub multi_label: bool,
    /// The number of labels, for `multi_label`; left out, that of the predictions.
    pub num_labels: Option<usize>,
    /// The weight of each label.
    #[config(range = "[0, inf)")]
    pub label_weights: Option<Vec<f64>>,
    /// Whether predictions are logits. Left out: as the loss takes them or, if the loss leaves it out
    /// too, as the model's last layer tells.
    #[config(skip_none)]
    pub from_logits: Option<bool>,
    /// The thresholds between 0 and 1, in place of equally spaced ones.
    #[config(skip_none, range = "[0, 1]")]
    pub thresholds: Option<Vec<f64>>,
    /// Its name in logs; left out, `auc`.
    #[config(skip_none)]
    pub name: Option<String>,
}

impl Metric for Auc {
    fn check(&self) -> Result<()> {
        match self.num_labels {
            Some(_) if !self.multi_label => {
                Err(Error::config("num_labels", "is for `multi_label` true only"))
            }
            _ => Ok(()),
        }
    }

    fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| "auc".to_string())
    }

    fn goal(&self) -> Option<Goal> {
        Some(Goal::Max)
    }

    fn resolve(&self, name: &str, outputs: &Outputs<'_>) -> Option<MetricFn> {
        let (from_logits, name) = (Some(outputs.logits), Some(name.to_string()));
        self.from_logits.is_none().then(|| Self { from_logits, name, ..self.clone() }.into())
    }

    fn new_state(&self) -> Box<dyn MetricState> {
        totalled(self.clone())
    }
}

impl Auc {
    fn bins(&self) -> Bins {
        match &self.thresholds {
            None => Bins::even(self.num_thresholds).around(),
            Some(between) => {
                let mut thresholds = between.clone();
                thresholds.sort_by(f64::total_cmp);
                thresholds.insert(0, 0.0);
                thresholds.push(1.0);
                Bins::of(&thresholds).around()
            }
        }
    }

    /// The area of one label.
    fn area(&self, curve: &[Counts]) -> f64 {
        let pairs = || curve.iter().zip(curve.iter().skip(1));
        if (self.curve, self.summation_method) == (Curve::Pr, SummationMethod::Interpolation) {
            return pairs().map(|(a, b)| interpolated(a, b)).sum();
        }
        pairs()
            .map(|(a, b)| {
                let (a, b) = (self.point(a), self.point(b));
                let height = match self.summation_method {
                    SummationMethod::Interpolation => (a.1 + b.1) / 2.0,
                    SummationMethod::Majoring => a.1.max(b.1),
                    SummationMethod::Minoring => a.1.min(b.1),
                };
                (a.0 - b.0) * height
            })
            .sum()
    }

    /// A point of the curve.
    fn point(&self, counts: &Counts) -> (f64, f64) {
        let (tp, fp) = (counts.true_positives, counts.false_positives);
        let (tn, fal) = (counts.true_negatives, counts.false_negatives);
        match self.curve {
            Curve::Roc => (divide_no_nan(fp, fp + tn), divide_no_nan(tp, tp + fal)),
            Curve::Pr => (divide_no_nan(tp, tp + fal), divide_no_nan(tp, tp + fp)),
            Curve::PrGain if tp == 0.0 => (0.0, 1.0),
            Curve::PrGain => {
                let scale = divide_no_nan(tp + fal, tn + fp);
                ((1.0 - scale * fal / tp).max(0.0), 1.0 - scale * fp / tp)
            }
        }
    }
}

/// The area under the PR curve between two thresholds, true positives being a linear function of
/// positives between them.
fn interpolated(a: &Counts, b: &Counts) -> f64 {
    let positives = |counts: &Counts| counts.true_positives + counts.false_positives;
    let (p, q) = (positives(a), positives(b));
    let dtp = a.true_positives - b.true_positives;
    let slope = divide_no_nan(dtp, (p - q).max(0.0));
    let intercept = b.true_positives - slope * q;
    let ratio = if p > 0.0 && q > 0.0 { p / q } else { 1.0 };
    let all = b.true_positives + b.false_negatives;
    divide_no_nan(slope * (dtp + intercept * ratio.ln()), all)
}

impl Sums for Auc {
    fn sums(
        &self,
        y_true: &Tensor,
        y_pred: &Tensor,
        sample_weight: Option<&Tensor>,
    ) -> Result<Tensor> {
        let (y_true, mut y_pred) = selected(y_true, y_pred, None, None)?;
        let labels = y_pred.dims().last().copied().unwrap_or(1);
        let expected = self.num_labels.or(self.label_weights.as_ref().map(Vec::len));
        if expected.is_some_and(|expected| expected != labels)
            || (self.multi_label && y_pred.rank() != 2)
        {
            return Err(Error::data(format!(
                "the output of shape {:?} does not have the labels of AUC, [batch, {}]",
                y_pred.dims(),
                expected.map_or("labels".to_string(), |labels| labels.to_string())
            )));
        }
        if self.from_logits == Some(true) {
            y_pred = Sigmoid {}.call(&y_pred)?.detach();
        }
        let weight = match &self.label_weights {
            Some(weights) if !self.multi_label => {
                let weights = Tensor::new(weights.as_slice(), y_pred.device())?
                    .to_dtype(y_pred.dtype())?
                    .broadcast_as(y_pred.dims())?
                    .contiguous()?;
                Some(weigh(weights.into(), sample_weight)?)
            }
            _ => sample_weight.cloned(),
        };
        self.bins().count(&y_true, &y_pred, weight.as_ref(), self.multi_label)
    }

    fn finish(&self, sums: &[Vec<f64>]) -> Vec<f64> {
        let bins = self.bins();
        if !self.multi_label {
            return vec![self.area(&bins.curve(sums))];
        }
        let areas = sums.chunks(bins.len()).map(|label| self.area(&bins.curve(label)));
        let weights = self.label_weights.iter().flatten().copied().chain(std::iter::repeat(1.0));
        let (mut total, mut all) = (0.0, 0.0);
        for (area, weight) in areas.zip(weights) {
            total += area * weight;
            all += weight;
        }
        vec![divide_no_nan(total, all)]
    }
}
