//! Ends the run at a loss that is no number.

use super::{Callback, CallbackConfig, Event, Flow, Run};
use sconce_core::{Config, Error, Result};

/// Stops the run after a batch whose loss is NaN or infinite (Keras's `TerminateOnNaN`).
///
/// `fit` itself refuses to make an update with such a loss, as an error that names the first layer
/// that is not finite; this callback is for training steps of your own, and for devices on which
/// `fit` reads the loss at the end of an epoch only: it reads it after each batch.
#[derive(Clone, Debug, Config)]
pub struct TerminateOnNaN {
    /// Whether that is an error instead of an early end.
    #[config(default = false)]
    pub raise_error: bool,
}

impl CallbackConfig for TerminateOnNaN {
    fn start(&self) -> Box<dyn Callback> {
        Box::new(self.clone())
    }
}

impl Callback for TerminateOnNaN {
    fn name(&self) -> &'static str {
        "TerminateOnNaN"
    }

    fn on(&mut self, event: &Event, run: &mut Run<'_>) -> Result<Flow> {
        let Event::BatchEnd { batch } = event else { return Ok(Flow::Continue) };
        match run.logs()?.get("loss") {
            Some(loss) if !loss.is_finite() => {
                let what = format!("the loss is {loss} at batch {}", batch + 1);
                match self.raise_error {
                    true => Err(Error::training(format!("{what}; the run ends at once"))),
                    false => Ok(Flow::Stop(what)),
                }
            }
            _ => Ok(Flow::Continue),
        }
    }
}
