//! A learning rate for each range of steps.

use super::{Schedule, Steps};
use sconce_core::{Config, Error, Result};

/// `values[0]` up to and with the step `boundaries[0]`, then `values[1]` up to and with `boundaries[1]`, and so on; the
/// last value after the last boundary. Boundaries are rounded towards 0.
///
/// Errors: boundaries that do not increase; not one value more than boundaries.
#[derive(Clone, Debug, Config)]
#[config(no_new)]
pub struct PiecewiseConstantDecay {
    /// The last steps of each rate but the last, increasing.
    #[config(range = "[0, inf)")]
    pub boundaries: Vec<Steps>,
    /// The rates.
    #[config(range = "[0, inf)")]
    pub values: Vec<f64>,
    /// Name in Keras.
    #[config(default = "PiecewiseConstant")]
    pub name: Option<String>,
}

impl PiecewiseConstantDecay {
    /// With boundaries and one value more.
    pub fn new<S: Into<Steps>>(
        boundaries: impl IntoIterator<Item = S>,
        values: impl Into<Vec<f64>>,
    ) -> Self {
        let boundaries = boundaries.into_iter().map(Into::into).collect();
        Self { boundaries, values: values.into(), name: Some("PiecewiseConstant".to_string()) }
    }
}

impl Schedule for PiecewiseConstantDecay {
    fn at(&self, step: u64) -> f64 {
        let passed =
            self.boundaries.iter().filter(|Steps(last)| step as f64 > last.trunc()).count();
        self.values.get(passed).copied().unwrap_or(f64::NAN)
    }

    fn check(&self) -> Result<()> {
        if let Some(i) = self.boundaries.windows(2).position(|pair| pair[0].0 >= pair[1].0) {
            let message = "must be above the boundary before it";
            return Err(Error::config(format!("boundaries[{}]", i + 1), message));
        }
        let (expected, found) = (self.boundaries.len() + 1, self.values.len());
        if expected != found {
            let message = format!(
                "{} boundaries need {expected} values, one for each range of steps; found {found}",
                self.boundaries.len()
            );
            return Err(Error::config("values", message));
        }
        Ok(())
    }
}
