//! True and false positives and negatives, one table row each.

use super::thresholds::{Bins, Thresholds, selected};
use super::totals::{Sums, totalled};
use super::{Metric, MetricFn, MetricState};
use crate::losses::Outputs;
use sconce_core::names::snake_case_of;
use sconce_core::{Config, Result, Tensor};

/// Writes a metric for each row.
macro_rules! counts {
    ($($(#[$doc:meta])* $ty:ident $count:ident;)*) => {$(
        $(#[$doc])*
        ///
        /// Targets 0 or 1, predictions from 0 to 1, both `[batch, ..]`.
        #[derive(Clone, Debug, Config)]
        #[config(dtype)]
        pub struct $ty {
            /// What is above it counts as positive. Left out it is 0.5, or, for logits of a loss whose
            /// `from_logits` was left out too, 0. Of several, logs hold the mean.
            pub thresholds: Option<Thresholds>,
            /// Its name in logs; left out, the type's in snake case.
            #[config(skip_none)]
            pub name: Option<String>,
        }

        impl $ty {
            fn given(&self) -> &[f64] {
                self.thresholds.as_ref().map_or(&[0.5], Thresholds::as_slice)
            }
        }

        impl Metric for $ty {
            fn check(&self) -> Result<()> {
                self.thresholds.as_ref().map_or(Ok(()), Thresholds::check)
            }

            fn name(&self) -> String {
                self.name.clone().unwrap_or_else(snake_case_of::<Self>)
            }

            fn resolve(&self, name: &str, outputs: &Outputs<'_>) -> Option<MetricFn> {
                let zero = self.thresholds.is_none() && outputs.logits && outputs.inferred;
                let (thresholds, name) = (Some(Thresholds::One(0.0)), Some(name.to_string()));
                zero.then(|| Self { thresholds, name }.into())
            }

            fn new_state(&self) -> Box<dyn MetricState> {
                totalled(self.clone())
            }
        }

        impl Sums for $ty {
            fn sums(&self, y_true: &Tensor, y_pred: &Tensor, w: Option<&Tensor>) -> Result<Tensor> {
                let (y_true, y_pred) = selected(y_true, y_pred, None, None)?;
                Bins::of(self.given()).count(&y_true, &y_pred, w, false)
            }

            fn finish(&self, sums: &[Vec<f64>]) -> Vec<f64> {
                Bins::of(self.given()).at(self.given(), sums, |counts| counts.$count)
            }
        }
    )*};
}

counts! {
    /// The number of negative targets with predictions above the threshold. Keras's
    /// `FalsePositives`.
    FalsePositives false_positives;

    /// The number of positive targets with predictions not above the threshold. Keras's
    /// `FalseNegatives`.
    FalseNegatives false_negatives;

    /// The number of negative targets with predictions not above the threshold. Keras's
    /// `TrueNegatives`.
    TrueNegatives true_negatives;

    /// The number of positive targets with predictions above the threshold. Keras's `TruePositives`.
    TruePositives true_positives;
}
