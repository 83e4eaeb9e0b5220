//! Validates with the averaged weights.

use super::{Callback, CallbackConfig, CallbackState, Event, Flow, Run, optimizer_of};
use sconce_core::{Config, Error, Json, Result};

/// Puts the moving averages of the weights in their place during validation (Keras's
/// `SwapEMAWeights`), for an optimizer with `use_ema`. With `swap_on_epoch` they stay there until the
/// next epoch begins, so that callbacks behind this one (ModelCheckpoint) save them.
#[derive(Clone, Debug, Config)]
pub struct SwapEMAWeights {
    /// Whether the averages stay in place between epochs.
    #[config(default = false)]
    pub swap_on_epoch: bool,
    #[config(skip)]
    swapped: bool,
}

impl SwapEMAWeights {
    /// Whether the averages are to be in the place of the weights.
    fn set(&mut self, swapped: bool, run: &mut Run<'_>) -> Result<()> {
        if self.swapped != swapped {
            let parts = run.model.parts()?;
            parts.compiled.optimizer()?.swap_averages(parts.network.store())?;
            self.swapped = swapped;
        }
        Ok(())
    }
}

impl CallbackConfig for SwapEMAWeights {
    fn start(&self) -> Box<dyn Callback> {
        Box::new(self.clone())
    }
}

impl Callback for SwapEMAWeights {
    fn name(&self) -> &'static str {
        "SwapEMAWeights"
    }

    fn prepare(&mut self, run: &Run<'_>) -> Result<()> {
        self.swapped = false;
        match optimizer_of(run.model)?.has_averages() {
            true => Ok(()),
            false => Err(Error::config(
                "",
                "SwapEMAWeights needs an optimizer that averages the weights; set use_ema to true",
            )),
        }
    }

    fn on(&mut self, event: &Event, run: &mut Run<'_>) -> Result<Flow> {
        match event {
            // After a checkpoint the weights are swapped already, and the optimizer has yet to know.
            Event::TrainBegin if self.swapped => {
                run.model.compiled_mut()?.optimizer()?.set_averages_swapped(true);
            }
            Event::EpochBegin { .. } | Event::TestEnd { .. } => self.set(false, run)?,
            Event::TestBegin => self.set(true, run)?,
            Event::EpochEnd { .. } if self.swap_on_epoch => self.set(true, run)?,
            _ => {}
        }
        Ok(Flow::Continue)
    }

    fn steers(&self) -> Result<Option<Json>> {
        Ok(Some(Json::Object(self.to_config()?)))
    }

    fn state(&self) -> Result<CallbackState> {
        Ok(CallbackState { values: self.swapped.into(), tensors: Vec::new() })
    }

    fn restore(&mut self, state: CallbackState) -> Result<()> {
        self.swapped = state.values.as_bool().unwrap_or_default();
        Ok(())
    }
}
