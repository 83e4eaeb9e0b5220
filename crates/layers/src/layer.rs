//! What a layer is: its hyperparameters and its maths, nothing else. Name, trainable flag, dtype
//! policy and activity regularizer belong to its [`LayerEntry`].
//!
//! A layer answers questions apart from each other: is the configuration valid ([`Layer::check`]),
//! what comes out ([`Layer::outputs`]), which weights are needed ([`Layer::weights`]), what is
//! computed ([`Layer::call`]), which steps of the result count ([`Layer::mask`]). It holds no tensors
//! and is never changed by running.

use crate::call::Call;
use crate::entry::LayerEntry;
use crate::lora::Lora;
use sconce_core::{
    Args, Config, Dims, Entry, Error, Json, Kind, Part, Result, Spec, Tensor, WeightSpec,
};
use std::any::Any;
use std::sync::Arc;

/// The configuration of a layer as JSON. `#[derive(Config)]` writes it; a layer that no file needs to
/// hold can do without and state its name only.
pub trait Configured: Any + Send + Sync {
    /// Keras's class name, or your own.
    fn class_name(&self) -> &'static str;

    /// Its own configuration, without name, trainable and dtype. A layer that cannot be written to a
    /// file says so here.
    fn config(&self) -> Result<Json> {
        Err(Error::config(
            "",
            format!(
                "`{}` is your own layer without `#[derive(Config)]` and cannot be written to JSON",
                self.class_name()
            ),
        ))
    }

    /// Refuses numbers outside their ranges.
    fn check_ranges(&self) -> Result<()> {
        Ok(())
    }

    /// Keras's module, for files.
    fn module(&self) -> Option<&'static str> {
        Some("keras.layers")
    }

    /// The name that a layer of the user's own is registered under: "my_package>MyLayer".
    fn registered_name(&self) -> Option<&'static str> {
        None
    }
}

impl<T: Config> Configured for T {
    fn class_name(&self) -> &'static str {
        T::CLASS_NAME
    }

    fn config(&self) -> Result<Json> {
        self.to_config().map(Json::Object)
    }

    fn check_ranges(&self) -> Result<()> {
        Config::check_ranges(self)
    }

    fn module(&self) -> Option<&'static str> {
        match T::REGISTERED {
            Some(_) => None,
            None => Some(T::MODULE.unwrap_or("keras.layers")),
        }
    }

    fn registered_name(&self) -> Option<&'static str> {
        T::REGISTERED
    }
}

/// A layer. `x` are the arguments of one call: shapes and types before there are values.
pub trait Layer: Configured {
    /// Refuses hyperparameters that cannot work, whatever the input (ranges of numbers are checked
    /// before).
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// The shapes and types that come out for those that go in, or what was expected instead.
    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>>;

    /// The names of the arguments of a call, in order, as in Keras's signature; `training` and `mask`
    /// are understood.
    fn arguments(&self) -> &'static [&'static str] {
        &["inputs"]
    }

    /// The weights needed for what goes in, without those of children. Their order is the order of
    /// Keras's files.
    fn weights(&self, _x: &Args<Spec>) -> Result<Vec<WeightSpec>> {
        Ok(Vec::new())
    }

    /// Where Keras keeps weights that are named with a prefix: `("query", "query_dense")` says that
    /// `query/kernel` is a weight of an object called `query` in the attribute `query_dense`.
    fn weight_groups(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    /// Where Keras's files keep the weights, if not with the layer itself: in the object of an attribute,
    /// of a class, such as the cell of an LSTM. Their names begin with that of the object.
    fn weights_within(&self) -> Option<(&'static str, &'static str)> {
        None
    }

    /// A weight of a layer inside that Keras counts and saves among this one's own too, before them: the layer
    /// and the weight's name.
    fn borrowed_weight(&self) -> Option<(&LayerEntry, &'static str)> {
        None
    }

    /// What a recurrent cell carries from step to step: the shapes of its states for the input of a step,
    /// batch axis first. It is called with an input and the list of states, and gives its output and the
    /// new states. `None`: the layer is no cell.
    fn states(&self, _input: &Spec) -> Result<Option<Vec<Dims>>> {
        Ok(None)
    }

    /// The layers inside: those of a nested model, a wrapped layer, a cell.
    fn children(&self) -> Vec<Child<'_>> {
        Vec::new()
    }

    /// What a child is called with, which decides its weights. Default: what this layer is called
    /// with.
    fn child_inputs(&self, _child: &LayerEntry, x: &Args<Spec>) -> Result<Args<Spec>> {
        Ok(x.clone())
    }

    /// The same layer around other layers, which stand in the order of [`Layer::children`], for a copy
    /// of a model.
    ///
    /// # Errors
    /// If a layer that holds others does not say how.
    fn with_children(&self, _children: Vec<LayerEntry>) -> Result<Arc<dyn Layer>> {
        Err(Error::layer(
            "",
            format!(
                "{} holds layers and cannot be copied: implement `Layer::with_children`",
                self.class_name()
            ),
        ))
    }

    /// The weight that LoRA changes, and how, if it is enabled.
    fn lora(&self) -> Option<(&'static str, Lora)> {
        None
    }

    /// The same layer with LoRA.
    ///
    /// # Errors
    /// Of layers that have none, which is the default.
    fn with_lora(&self, _lora: Lora) -> Result<Arc<dyn Layer>> {
        let message = format!(
            "{} has no LoRA; Dense, EinsumDense, Embedding and Conv1D to Conv3D have it",
            self.class_name()
        );
        Err(Error::layer("", message))
    }

    /// Computes the outputs.
    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>>;

    /// Whether the layer, in prediction, also does what those after it do: [`Call::following`].
    fn takes_following(&self) -> bool {
        false
    }

    /// Whether the layer, in training and in prediction, also applies the elementwise function after it.
    fn takes_activation(&self) -> bool {
        self.takes_following()
    }

    /// The factor and the shift of each channel that the layer amounts to in prediction, for inputs of a
    /// rank whose last axis is that of channels; `None` if it is more than that. `weight` gives its weights.
    fn affine(
        &self,
        _rank: usize,
        _weight: &dyn Fn(&str) -> Option<Tensor>,
    ) -> Result<Option<[Tensor; 2]>> {
        Ok(None)
    }

    /// The function of each value by itself that the layer is, if it is nothing else.
    fn elementwise(&self) -> Option<Arc<dyn sconce_ops::Activation>> {
        None
    }

    /// Whether `activity_regularizer` is a penalty on the outputs, and not only on what the layer computes within.
    fn regularizes_outputs(&self) -> bool {
        true
    }

    /// Whether masks pass through. The mask of a layer that does not support masking ends there, with
    /// a warning, as in Keras.
    fn supports_masking(&self) -> bool {
        false
    }

    /// The masks of the outputs. Default: that of the first input for each, if masks pass through.
    fn mask(&self, call: &Call<'_>, outputs: &[Tensor]) -> Result<Vec<Option<Tensor>>> {
        let first = call.args().flat().first().and_then(|value| value.mask.clone());
        if first.is_some() && !self.supports_masking() {
            tracing::warn!(
                "layer `{}` ({}) does not support masking; the mask of its input ends here",
                call.path(),
                self.class_name()
            );
            return Ok(Vec::new());
        }
        Ok(vec![first; outputs.len()])
    }

    /// Whether the layer makes masks of its own, from inputs that have none.
    fn makes_masks(&self) -> bool {
        false
    }

    /// New values of its weights, by name, from data that comes in batches: what [`LayerEntry::adapt`]
    /// sets.
    ///
    /// # Errors
    /// Of layers that take nothing from data, which is the default.
    fn adapt(
        &self,
        _data: &mut dyn Iterator<Item = Result<Tensor>>,
    ) -> Result<Vec<(&'static str, Tensor)>> {
        Err(Error::layer("", format!("{} is not adapted to data", self.class_name())))
    }

    /// Whether integer inputs are brought to the float type that the layer computes in. Layers that
    /// take indices, or only move values, say no.
    fn casts_integers(&self) -> bool {
        true
    }

    /// Whether Keras's class takes the argument `trainable`, which files then hold.
    fn takes_trainable(&self) -> bool {
        true
    }

    /// Whether the outputs are probabilities (a softmax or sigmoid comes last), for losses that must
    /// know whether they are given logits. `None`: as the inputs were (dropout, reshape).
    fn outputs_probabilities(&self) -> Option<bool> {
        Some(false)
    }
}

/// Layers inside a layer, under the attribute that Keras keeps them in; files are named by it.
pub enum Child<'a> {
    /// One: "cell", "layer".
    One(&'static str, &'a LayerEntry),
    /// Several: "layers" of a model, "cells".
    Many(&'static str, Vec<&'a LayerEntry>),
}

impl<'a> Child<'a> {
    /// The layers, in order.
    pub fn entries(&self) -> Vec<&'a LayerEntry> {
        match self {
            Self::One(_, entry) => vec![entry],
            Self::Many(_, entries) => entries.clone(),
        }
    }
}

/// The table of layers that JSON and files can name.
pub struct Layers;

impl Kind for Layers {
    type Object = dyn Layer;
    const NAME: &'static str = "layer";
    const MODULE: &'static str = "keras.layers";
    fn entries() -> &'static [Entry<Self>] {
        Self::ENTRIES
    }

    fn check(object: &Self::Object) -> Result<()> {
        object.check()
    }
}

/// The object of an optional part; an unknown name is an error at `key`.
pub(crate) fn optional<K: Kind>(
    part: &Option<Part<K>>,
    key: &str,
) -> Result<Option<std::sync::Arc<K::Object>>> {
    part.as_ref().map(|p| p.get().cloned().map_err(|e| e.under(key))).transpose()
}
