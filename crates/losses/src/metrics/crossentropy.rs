//! What the crossentropies have in common as metrics: the mean of the loss of the same configuration.

/// Makes a metric of a configuration with `from_logits`, `name` and `loss()`.
macro_rules! crossentropy_metric {
    ($ty:ident, $default_name:literal) => {
        impl $ty {
            /// Says whether predictions are logits.
            pub fn from_logits(mut self, from_logits: bool) -> Self {
                self.from_logits = Some(from_logits);
                self
            }
        }

        impl crate::metrics::Metric for $ty {
            fn check(&self) -> Result<()> {
                self.loss().check()
            }

            fn name(&self) -> String {
                self.name.clone().unwrap_or_else(|| $default_name.to_string())
            }

            fn check_shape(&self, name: &str, y_true: &[usize], y_pred: &Dims) -> Result<()> {
                self.loss().check_shape(name, y_true, y_pred)
            }

            fn resolve(
                &self,
                name: &str,
                outputs: &losses::Outputs<'_>,
            ) -> Option<crate::metrics::MetricFn> {
                let (from_logits, name) = (Some(outputs.logits), Some(name.to_string()));
                self.from_logits
                    .is_none()
                    .then(|| Self { from_logits, name, ..self.clone() }.into())
            }

            fn start(&self) -> Box<dyn crate::metrics::Running> {
                crate::metrics::averaged(self.clone())
            }
        }

        impl crate::metrics::SampleValues for $ty {
            fn values(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<losses::PerSample> {
                self.loss().per_sample(y_true, y_pred)
            }
        }
    };
}

pub(super) use crossentropy_metric;
