//! The best value of one rate where another reaches a given value, one table row each.

use super::thresholds::{Bins, Counts, selected};
use super::totals::{Sums, divide_no_nan, totalled};
use super::{Goal, Metric, MetricState};
use sconce_core::names::snake_case_of;
use sconce_core::{Config, Result, Tensor};

fn precision(counts: &Counts) -> f64 {
    divide_no_nan(counts.true_positives, counts.true_positives + counts.false_positives)
}

/// Recall, also called sensitivity.
fn recall(counts: &Counts) -> f64 {
    divide_no_nan(counts.true_positives, counts.true_positives + counts.false_negatives)
}

fn specificity(counts: &Counts) -> f64 {
    divide_no_nan(counts.true_negatives, counts.true_negatives + counts.false_positives)
}

/// Writes a metric for each row: the largest `$dependent` where `$constrained` is at least the field.
macro_rules! at_constraint {
    ($($(#[$doc:meta])* $ty:ident ($field:ident) $constrained:ident $dependent:ident;)*) => {$(
        $(#[$doc])*
        ///
        /// 0 if no threshold gives that. Targets 0 or 1, predictions from 0 to 1, both `[batch, ..]`.
        #[derive(Clone, Debug, Config)]
        #[config(dtype)]
        pub struct $ty {
            /// The least value of the rate that is given.
            #[config(range = "[0, 1]")]
            pub $field: f64,
            /// The number of thresholds that are tried, from 0 to 1; a single one is 0.5.
            #[config(default = 200, range = "[1, 1000000]")]
            pub num_thresholds: usize,
            /// The only class that counts.
            pub class_id: Option<usize>,
            /// Its name in logs; left out, the type's in snake case.
            #[config(skip_none)]
            pub name: Option<String>,
        }

        impl Metric for $ty {
            fn name(&self) -> String {
                self.name.clone().unwrap_or_else(snake_case_of::<Self>)
            }

            fn goal(&self) -> Option<Goal> {
                Some(Goal::Max)
            }

            fn new_state(&self) -> Box<dyn MetricState> {
                totalled(self.clone())
            }
        }

        impl Sums for $ty {
            fn sums(&self, y_true: &Tensor, y_pred: &Tensor, w: Option<&Tensor>) -> Result<Tensor> {
                let (y_true, y_pred) = selected(y_true, y_pred, None, self.class_id)?;
                Bins::even(self.num_thresholds).count(&y_true, &y_pred, w, false)
            }

            fn finish(&self, sums: &[Vec<f64>]) -> Vec<f64> {
                let curve = Bins::even(self.num_thresholds).curve(sums);
                let reached = curve.iter().filter(|counts| $constrained(counts) >= self.$field);
                vec![reached.map($dependent).fold(0.0, f64::max)]
            }
        }
    )*};
}

at_constraint! {
    /// The best precision where recall is at least `recall`. Keras's `PrecisionAtRecall`.
    PrecisionAtRecall (recall) recall precision;

    /// The best recall where precision is at least `precision`. Keras's `RecallAtPrecision`.
    RecallAtPrecision (precision) precision recall;

    /// The best sensitivity (recall) where specificity is at least `specificity`. Keras's
    /// `SensitivityAtSpecificity`.
    SensitivityAtSpecificity (specificity) specificity recall;

    /// The best specificity where sensitivity (recall) is at least `sensitivity`. Keras's
    /// `SpecificityAtSensitivity`.
    SpecificityAtSensitivity (sensitivity) recall specificity;
}
