//! Bidirectional: a recurrent layer in both directions.
//!
//! Schuster and Paliwal, "Bidirectional recurrent neural networks", 1997.

use super::sequence::used_mask;
use crate::json::{from_json, to_json};
use crate::{Call, Child, Layer, LayerEntry};
use sconce_core::names::snake_case;
use sconce_core::{Arg, Args, Config, ConfigValue, Error, Json, Result, Spec, Tensor, Value};
use std::sync::{Arc, OnceLock};

/// How the outputs of the two directions become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ConfigValue)]
pub enum MergeMode {
    /// Side by side, along the last axis.
    #[default]
    Concat,
    /// Their sum.
    Sum,
    /// Their product.
    Mul,
    /// Their average.
    Ave,
}

/// A recurrent layer that runs forwards, and one that runs backwards, over the same sequence.
///
/// x `[batch, steps, features]`; y is what the layers give, the outputs in the order of the sequence and
/// merged. With `return_state` the states follow, forward ones first; a call may give `initial_state` in
/// that order. `merge_mode` null gives both outputs.
#[derive(Clone, Debug, Config)]
#[config(named)]
pub struct Bidirectional {
    /// The layer that runs forwards: an `LSTM`, `GRU`, `SimpleRNN` or `RNN`.
    pub layer: LayerEntry,
    /// "concat", "sum", "mul" or "ave"; null: both outputs come out.
    #[config(default = Some(MergeMode::Concat))]
    pub merge_mode: Option<MergeMode>,
    /// The layer that runs backwards; by default a copy of the other.
    pub backward_layer: Option<LayerEntry>,
    /// Both, named and with their options.
    #[config(skip)]
    directions: Directions,
}

/// The two layers, made when first needed. A copy of a configuration has layers of its own.
#[derive(Debug, Default)]
struct Directions(OnceLock<[LayerEntry; 2]>);

impl Clone for Directions {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// A boolean of a layer's configuration.
fn flag(config: &Json, key: &str) -> bool {
    config.get(key).and_then(Json::as_bool).unwrap_or(false)
}

impl Bidirectional {
    /// Gives both outputs, unmerged.
    pub fn unmerged(mut self) -> Self {
        self.merge_mode = None;
        self
    }

    /// A copy of a layer, named and changed.
    fn direction(entry: &LayerEntry, prefix: &str, backwards: Option<bool>) -> Result<LayerEntry> {
        let name =
            entry.given_name().map_or_else(|| snake_case(entry.class_name()), str::to_string);
        let name = match name.strip_prefix(prefix) {
            Some(_) => name,
            None => format!("{prefix}{name}"),
        };
        let mut json = to_json(entry, &name, None)?;
        let config = &mut json["config"];
        if config.get("go_backwards").is_none() {
            let message = format!("must be a recurrent layer, found {}", entry.class_name());
            return Err(Error::config("", message));
        }
        if let Some(backwards) = backwards {
            config["go_backwards"] = backwards.into();
        }
        // As in Keras, so that what is merged at masked steps are zeros.
        config["zero_output_for_mask"] = flag(config, "return_sequences").into();
        from_json(&json)
    }

    fn directions(&self) -> Result<&[LayerEntry; 2]> {
        if let Some(made) = self.directions.0.get() {
            return Ok(made);
        }
        let forward =
            Self::direction(&self.layer, "forward_", None).map_err(|e| e.under("layer"))?;
        let backward = match &self.backward_layer {
            Some(layer) => Self::direction(layer, "backward_", None),
            None => {
                let backwards = !flag(&forward.layer().config()?, "go_backwards");
                Self::direction(&self.layer, "backward_", Some(backwards))
            }
        };
        let backward = backward.map_err(|e| e.under("backward_layer"))?;
        let (first, second) = (forward.layer().config()?, backward.layer().config()?);
        if flag(&first, "go_backwards") == flag(&second, "go_backwards") {
            let message = "the two layers must run in different directions: `go_backwards` of one must be \
                           true";
            return Err(Error::config("backward_layer", message));
        }
        for key in ["stateful", "return_sequences", "return_state"] {
            if flag(&first, key) != flag(&second, key) {
                let message = format!("the two layers must have the same `{key}`");
                return Err(Error::config("backward_layer", message));
            }
        }
        Ok(self.directions.0.get_or_init(|| [forward, backward]))
    }

    fn option(&self, key: &str) -> Result<bool> {
        Ok(flag(&self.directions()?[0].layer().config()?, key))
    }

    /// The arguments of one direction: `half` of the states.
    fn args<T: Clone>(args: &Args<T>, half: usize) -> Result<Args<T>> {
        let mut flat = args.flat().into_iter().cloned();
        let x = flat.next().ok_or_else(|| Error::layer("", "is called without a tensor"))?;
        let states: Vec<T> = flat.collect();
        if states.is_empty() {
            return Ok(Args::one(x));
        }
        if !states.len().is_multiple_of(2) {
            let message =
                "initial_state must hold the states of both directions, forward ones first";
            return Err(Error::layer("", message));
        }
        let part = states.len() / 2;
        let states = states.into_iter().skip(half * part).take(part).map(Arg::One).collect();
        Ok(Args::one(x).arg(Arg::List(states)))
    }

    fn merge(mode: MergeMode, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        Ok(match mode {
            MergeMode::Concat => Tensor::cat(&[a, b], a.rank() - 1)?,
            MergeMode::Sum => (a + b)?,
            MergeMode::Mul => (a * b)?,
            MergeMode::Ave => ((a + b)? / 2.0)?,
        })
    }
}

/// A sequence from its last step to its first.
fn reversed(x: &Tensor) -> Result<Tensor> {
    let steps = x.dim(1)? as u32;
    let order: Vec<u32> = (0..steps).rev().collect();
    Ok(x.index_select(&Tensor::new(order, x.device())?, 1)?)
}

impl Layer for Bidirectional {
    fn check(&self) -> Result<()> {
        self.directions().map(drop)
    }

    fn arguments(&self) -> &'static [&'static str] {
        &["sequences", "initial_state"]
    }

    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let [forward, backward] = self.directions()?;
        let mut forward = forward.outputs(&Self::args(x, 0)?)?.into_iter();
        let mut backward = backward.outputs(&Self::args(x, 1)?)?.into_iter();
        let (Some(mut a), Some(b)) = (forward.next(), backward.next()) else {
            return Err(Error::layer("", "its layers have no output"));
        };
        let mut outputs = Vec::new();
        match self.merge_mode {
            Some(MergeMode::Concat) => {
                let width = a.dims.last()?.checked_add(b.dims.last()?);
                let width = width.ok_or_else(|| Error::layer("", "its outputs are too long"))?;
                a.dims = a.dims.with_last(width);
                outputs.push(a);
            }
            Some(_) if a.dims == b.dims => outputs.push(a),
            Some(_) => {
                let message =
                    format!("the outputs of its layers differ, {} and {}", a.dims, b.dims);
                return Err(Error::layer("", message));
            }
            None => outputs.extend([a, b]),
        }
        outputs.extend(forward.chain(backward));
        Ok(outputs)
    }

    fn children(&self) -> Vec<Child<'_>> {
        match self.directions() {
            Ok([forward, backward]) => {
                vec![Child::One("forward_layer", forward), Child::One("backward_layer", backward)]
            }
            Err(_) => Vec::new(),
        }
    }

    fn child_inputs(&self, _: &LayerEntry, x: &Args<Spec>) -> Result<Args<Spec>> {
        Self::args(x, 0)
    }

    fn with_children(&self, children: Vec<LayerEntry>) -> Result<Arc<dyn Layer>> {
        let copy = self.clone();
        if let Ok(both) = <[LayerEntry; 2]>::try_from(children) {
            // A copy has none yet.
            let _ = copy.directions.0.set(both);
        }
        Ok(Arc::new(copy))
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let [forward, backward] = self.directions()?;
        let values = call.args().clone();
        let (mask, used) = (call.mask(0).cloned(), used_mask(call));
        let args = |half: usize| -> Result<Args<Value>> {
            let mut args = Self::args(&values, half)?;
            if let Some(Arg::One(value)) = args.positional.first_mut() {
                value.mask = None;
            }
            Ok(match &used {
                Some(mask) => args.named("mask", Value::from(mask.clone())),
                None => args,
            })
        };
        let mut first = call.child(forward, args(0)?)?.into_iter();
        let mut second = call.child(backward, args(1)?)?.into_iter();
        let (Some(a), Some(b)) = (first.next(), second.next()) else {
            return Err(Error::layer("", "its layers have no output"));
        };
        let returns_sequences = self.option("return_sequences")?;
        let b = match returns_sequences {
            true => reversed(&b.tensor)?,
            false => b.tensor,
        };
        let mut outputs = match self.merge_mode {
            Some(mode) => vec![Self::merge(mode, &a.tensor, &b)?],
            None => vec![a.tensor, b],
        };
        let mut masks = vec![mask.filter(|_| returns_sequences); outputs.len()];
        outputs.extend(first.chain(second).map(|value| value.tensor));
        masks.resize(outputs.len(), None);
        call.set_masks(masks);
        Ok(outputs)
    }

    fn supports_masking(&self) -> bool {
        true
    }
}
