//! Losses as metrics: the mean of the loss of the same name, one table row each.

use super::{MetricFn, SampleValues, averaged_metric};
use crate::losses::{self, Loss, Outputs, PerSample};
use sconce_core::{Config, Dims, Result, Tensor};

/// Writes a metric for each row `Name { fields of the loss }`. `(from_logits)` adds that key, which the
/// model's output resolves when it is left out.
macro_rules! loss_metrics {
    ($(
        $(#[$doc:meta])*
        $ty:ident $(($from_logits:ident))?
            { $($(#[$attribute:meta])* $field:ident: $field_ty:ty,)* }
    )*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Config)]
        #[config(dtype)]
        pub struct $ty {
            $(
                /// Whether predictions are logits. Left out: as the loss takes them or, if the loss
                /// leaves it out too, as the model's last layer tells.
                #[config(skip_none)]
                pub $from_logits: Option<bool>,
            )?
            $($(#[$attribute])* pub $field: $field_ty,)*
            /// Its name in logs; left out, the loss's in snake case.
            #[config(skip_none)]
            pub name: Option<String>,
        }

        impl $ty {
            /// The loss of the same configuration.
            fn loss(&self) -> losses::$ty {
                losses::$ty {
                    $($from_logits: self.$from_logits,)?
                    $($field: self.$field,)*
                    ..Default::default()
                }
            }
        }

        averaged_metric!($ty, Min {
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
        });

        impl SampleValues for $ty {
            fn values(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
                self.loss().per_sample(y_true, y_pred)
            }
        }
    )*};
}

loss_metrics! {
    /// The loss of the same name, averaged over samples: see [`losses::BinaryCrossentropy`].
    BinaryCrossentropy (from_logits) {
        /// Label smoothing.
        #[config(default = 0.0, range = "[0, 1]")]
        label_smoothing: f64,
    }

    /// The loss of the same name, averaged over samples: see [`losses::CategoricalCrossentropy`].
    CategoricalCrossentropy (from_logits) {
        /// Label smoothing.
        #[config(default = 0.0, range = "[0, 1]")]
        label_smoothing: f64,
        /// The axis of the classes.
        #[config(default = -1)]
        axis: i64,
    }

    /// The loss of the same name, averaged over samples: see [`losses::CategoricalHinge`].
    CategoricalHinge {}

    /// The loss of the same name, averaged over samples: see [`losses::Hinge`].
    Hinge {}

    /// The loss of the same name, averaged over samples: see [`losses::KLDivergence`].
    KLDivergence {}

    /// The loss of the same name, averaged over samples: see [`losses::MeanAbsoluteError`].
    MeanAbsoluteError {}

    /// The loss of the same name, averaged over samples: see [`losses::MeanAbsolutePercentageError`].
    MeanAbsolutePercentageError {}

    /// The loss of the same name, averaged over samples: see [`losses::MeanSquaredError`].
    MeanSquaredError {}

    /// The loss of the same name, averaged over samples: see [`losses::MeanSquaredLogarithmicError`].
    MeanSquaredLogarithmicError {}

    /// The loss of the same name, averaged over samples: see [`losses::Poisson`].
    Poisson {}

    /// The loss of the same name, averaged over samples: see [`losses::SparseCategoricalCrossentropy`].
    SparseCategoricalCrossentropy (from_logits) {
        /// A label whose samples have the value 0; weighted means exclude them.
        ignore_class: Option<i64>,
        /// The axis of the classes.
        #[config(default = -1)]
        axis: i64,
    }

    /// The loss of the same name, averaged over samples: see [`losses::SquaredHinge`].
    SquaredHinge {}
}
