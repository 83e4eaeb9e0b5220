//! Losses as metrics: the mean of the loss of the same name, one table row each.

use super::{Goal, Metric, MetricFn, MetricState, SampleValues, averaged};
use crate::Float32;
use crate::losses::{self, Loss, Outputs, PerSample};
use sconce_core::{Dims, Result, Tensor};
use serde::{Deserialize, Serialize};

/// Writes a metric for each row `Name = "default_name" { fields of the loss }`, with the loss's
/// defaults. `(from_logits)` adds that key, which the model's output resolves when it is left out.
macro_rules! loss_metrics {
    ($(
        $(#[$doc:meta])*
        $ty:ident = $default_name:literal $(($from_logits:ident))?
            { $($(#[$field_doc:meta])* $field:ident: $field_ty:ty,)* }
    )*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $ty {
            $(
                /// Whether predictions are logits. Left out: as the loss takes them or, if the loss
                /// leaves it out too, as the model's last layer tells.
                #[serde(skip_serializing_if = "Option::is_none")]
                pub $from_logits: Option<bool>,
            )?
            $($(#[$field_doc])* pub $field: $field_ty,)*
            #[doc = concat!("Its name in logs. Default `", $default_name, "`.")]
            #[serde(skip_serializing_if = "Option::is_none")]
            pub name: Option<String>,
            /// The type it computes in.
            #[serde(skip_serializing)]
            pub dtype: Float32,
        }

        impl Default for $ty {
            fn default() -> Self {
                #[allow(unused_variables, reason = "some losses have no hyperparameters")]
                let loss = losses::$ty::default();
                Self {
                    $($from_logits: loss.$from_logits,)?
                    $($field: loss.$field,)*
                    name: None,
                    dtype: Float32,
                }
            }
        }

        impl $ty {
            $(
                /// Sets whether predictions are logits.
                pub fn $from_logits(mut self, $from_logits: bool) -> Self {
                    self.$from_logits = Some($from_logits);
                    self
                }
            )?

            /// The loss of the same configuration.
            fn loss(&self) -> losses::$ty {
                losses::$ty {
                    $($from_logits: self.$from_logits,)?
                    $($field: self.$field,)*
                    ..Default::default()
                }
            }
        }

        impl Metric for $ty {
            fn check(&self) -> Result<()> {
                self.loss().check()
            }

            fn name(&self) -> String {
                self.name.clone().unwrap_or_else(|| $default_name.to_string())
            }

            fn goal(&self) -> Option<Goal> {
                Some(Goal::Min)
            }

            fn check_shape(&self, name: &str, y_true: &[usize], y_pred: &Dims) -> Result<()> {
                self.loss().check_shape(name, y_true, y_pred)
            }

            $(
                fn resolve(&self, name: &str, outputs: &Outputs<'_>) -> Option<MetricFn> {
                    let ($from_logits, name) = (Some(outputs.logits), Some(name.to_string()));
                    let resolved = || Self { $from_logits, name, ..self.clone() }.into();
                    self.$from_logits.is_none().then(resolved)
                }
            )?

            fn new_state(&self) -> Box<dyn MetricState> {
                averaged(self.clone())
            }
        }

        impl SampleValues for $ty {
            fn values(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
                self.loss().per_sample(y_true, y_pred)
            }
        }
    )*};
}

loss_metrics! {
    /// The mean of the loss [`losses::BinaryCrossentropy`]. Keras's metric `BinaryCrossentropy`.
    BinaryCrossentropy = "binary_crossentropy" (from_logits) {
        /// Label smoothing. Default 0.
        label_smoothing: f64,
    }

    /// The mean of the loss [`losses::CategoricalCrossentropy`]. Keras's metric
    /// `CategoricalCrossentropy`.
    CategoricalCrossentropy = "categorical_crossentropy" (from_logits) {
        /// Label smoothing. Default 0.
        label_smoothing: f64,
        /// The axis of the classes. Default -1.
        axis: i64,
    }

    /// The mean of the loss [`losses::MeanAbsoluteError`]. Keras's metric `MeanAbsoluteError`.
    MeanAbsoluteError = "mean_absolute_error" {}

    /// The mean of the loss [`losses::MeanSquaredError`]. Keras's metric `MeanSquaredError`.
    MeanSquaredError = "mean_squared_error" {}

    /// The mean of the loss [`losses::SparseCategoricalCrossentropy`]. Keras's metric
    /// `SparseCategoricalCrossentropy`.
    SparseCategoricalCrossentropy = "sparse_categorical_crossentropy" (from_logits) {
        /// A label whose samples have the value 0; weighted means exclude them.
        ignore_class: Option<i64>,
        /// The axis of the classes. Default -1.
        axis: i64,
    }
}
