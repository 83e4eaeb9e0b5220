//! TimeDistributed: the same layer at every step.

use super::sequence::step_input;
use crate::{Call, Child, Layer, LayerEntry};
use sconce_core::{Args, Config, Error, Result, Spec, Tensor, Value};
use sconce_ops::recurrent::unstack;
use std::sync::Arc;

/// Applies a layer to every step of a sequence.
///
/// x `[batch, steps, ..]`, y `[batch, steps, ..]` with the layer's output for each step. The steps are rows
/// of one call; only a layer with state, such as batch statistics, is called step by step in training,
/// as in Keras.
#[derive(Clone, Debug, Config)]
#[config(named)]
pub struct TimeDistributed {
    /// The layer.
    pub layer: LayerEntry,
}

impl TimeDistributed {
    /// Whether something within the layer changes with each call of it.
    fn has_state(&self) -> bool {
        let mut any = false;
        self.layer.walk("", &mut |_, entry, _| any |= entry.weights().iter().any(|w| w.is_state));
        any
    }
}

/// The only output of the layer.
fn only(mut values: Vec<Value>) -> Result<Tensor> {
    match (values.pop(), values.len()) {
        (Some(value), 0) => Ok(value.tensor),
        (_, more) => {
            let message = format!("its layer must have one output, it has {}", more + 1);
            Err(Error::layer("", message))
        }
    }
}

impl Layer for TimeDistributed {
    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let x = x.single("TimeDistributed")?;
        let mut outputs = self.layer.outputs(&Args::one(step_input(x)?))?;
        for output in &mut outputs {
            let steps = x.dims.0.get(1).copied().flatten();
            output.dims.0.insert(1.min(output.dims.rank()), steps);
        }
        Ok(outputs)
    }

    fn children(&self) -> Vec<Child<'_>> {
        vec![Child::One("layer", &self.layer)]
    }

    fn child_inputs(&self, _: &LayerEntry, x: &Args<Spec>) -> Result<Args<Spec>> {
        Ok(Args::one(step_input(x.single("TimeDistributed")?)?))
    }

    fn with_children(&self, children: Vec<LayerEntry>) -> Result<Arc<dyn Layer>> {
        let layer = children.into_iter().next().unwrap_or_else(|| self.layer.clone());
        Ok(Arc::new(Self { layer }))
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let x = call.single()?.clone();
        let (rows, steps) = (x.dim(0)?, x.dim(1)?);
        // Of a mask for the steps themselves nothing is left within a step.
        let mask = call.mask(0).filter(|mask| mask.rank() > 2).cloned();
        if call.training() && self.has_state() {
            let mut outputs = Vec::with_capacity(steps);
            for (step, x) in unstack(&x)?.into_iter().enumerate() {
                let mask = mask.as_ref().map(|mask| mask.narrow(1, step, 1)?.squeeze(1));
                let value = Value { tensor: x, mask: mask.transpose()? };
                let key = sconce_core::random::key_of(self.layer.name()).wrapping_add(step as u64);
                outputs.push(only(call.child_with_key(&self.layer, Args::one(value), key)?)?);
            }
            return Ok(vec![Tensor::stack(&outputs, 1)?]);
        }
        let fold = |x: &Tensor| -> Result<Vec<usize>> {
            Ok(std::iter::once(rows * steps).chain(x.dims().iter().skip(2).copied()).collect())
        };
        let mask = mask.map(|mask| -> Result<Tensor> { Ok(mask.reshape(fold(&mask)?)?) });
        let value = Value { tensor: sconce_ops::reshape(&x, fold(&x)?)?, mask: mask.transpose()? };
        let y = only(call.child(&self.layer, Args::one(value))?)?;
        let dims: Vec<usize> =
            [rows, steps].into_iter().chain(y.dims().iter().skip(1).copied()).collect();
        Ok(vec![sconce_ops::reshape(&y, dims)?])
    }

    fn supports_masking(&self) -> bool {
        true
    }

    fn casts_integers(&self) -> bool {
        self.layer.layer().casts_integers()
    }

    fn outputs_probabilities(&self) -> Option<bool> {
        self.layer.layer().outputs_probabilities()
    }
}
