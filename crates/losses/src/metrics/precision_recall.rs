//! Precision and recall, one table row each.

use super::thresholds::{Bins, NONE, Thresholds, selected};
use super::totals::{Sums, divide_no_nan, totalled};
use super::{Goal, Metric, MetricFn, MetricState};
use crate::losses::Outputs;
use sconce_core::names::snake_case_of;
use sconce_core::{Config, Result, Tensor};

/// Writes a metric for each row: `true_positives / (true_positives + other)`.
macro_rules! shares {
    ($($(#[$doc:meta])* $ty:ident $other:ident;)*) => {$(
        $(#[$doc])*
        ///
        /// 0 where there are none. Targets 0 or 1, predictions from 0 to 1, both `[batch, ..]`.
        #[derive(Clone, Debug, Config)]
        #[config(dtype)]
        pub struct $ty {
            /// What is above it counts as positive. Left out it is 0.5, or, for logits of a loss whose
            /// `from_logits` was left out too, 0; with `top_k`, any number is above it. Of several,
            /// logs hold the mean.
            pub thresholds: Option<Thresholds>,
            /// How many of the largest predictions of a row can be positive.
            #[config(range = "[1, inf)")]
            pub top_k: Option<usize>,
            /// The only class that counts.
            pub class_id: Option<usize>,
            /// Its name in logs; left out, the type's in snake case.
            #[config(skip_none)]
            pub name: Option<String>,
        }

        impl $ty {
            fn given(&self) -> &[f64] {
                let default: &[f64] = if self.top_k.is_some() { &[NONE] } else { &[0.5] };
                self.thresholds.as_ref().map_or(default, Thresholds::as_slice)
            }
        }

        impl Metric for $ty {
            fn check(&self) -> Result<()> {
                self.thresholds.as_ref().map_or(Ok(()), Thresholds::check)
            }

            fn name(&self) -> String {
                self.name.clone().unwrap_or_else(snake_case_of::<Self>)
            }

            fn goal(&self) -> Option<Goal> {
                Some(Goal::Max)
            }

            fn resolve(&self, name: &str, outputs: &Outputs<'_>) -> Option<MetricFn> {
                let left_out = self.thresholds.is_none() && self.top_k.is_none();
                let (thresholds, name) = (Some(Thresholds::One(0.0)), Some(name.to_string()));
                let zero = left_out && outputs.logits && outputs.inferred;
                zero.then(|| Self { thresholds, name, ..self.clone() }.into())
            }

            fn new_state(&self) -> Box<dyn MetricState> {
                totalled(self.clone())
            }
        }

        impl Sums for $ty {
            fn sums(&self, y_true: &Tensor, y_pred: &Tensor, w: Option<&Tensor>) -> Result<Tensor> {
                let (y_true, y_pred) = selected(y_true, y_pred, self.top_k, self.class_id)?;
                Bins::of(self.given()).count(&y_true, &y_pred, w, false)
            }

            fn finish(&self, sums: &[Vec<f64>]) -> Vec<f64> {
                Bins::of(self.given()).at(self.given(), sums, |counts| {
                    divide_no_nan(counts.true_positives, counts.true_positives + counts.$other)
                })
            }
        }
    )*};
}

shares! {
    /// The part of predictions above the threshold whose targets are positive:
    /// `true_positives / (true_positives + false_positives)`. Keras's `Precision`.
    Precision false_positives;

    /// The part of positive targets whose predictions are above the threshold:
    /// `true_positives / (true_positives + false_negatives)`. Keras's `Recall`.
    Recall false_negatives;
}
