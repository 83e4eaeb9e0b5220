//! What a layer is: its hyperparameters and its maths, nothing else. Name, trainable flag, dtype
//! policy and activity regularizer belong to its [`LayerEntry`].
//!
//! A layer answers questions apart from each other: is the configuration valid ([`Layer::check`]),
//! what comes out ([`Layer::outputs`]), which weights are needed ([`Layer::weights`]), what is
//! computed ([`Layer::call`]), which steps of the result count ([`Layer::mask`]). It holds no tensors
//! and is never changed by running.

use crate::call::Call;
use crate::entry::LayerEntry;
use sconce_core::registry::Part;
use sconce_core::{Args, Entry, Error, Json, Kind, Result, Spec, Tensor, WeightSpec};
use std::any::Any;

/// The configuration of a layer as JSON. The table of layers writes this for its rows; your own layer
/// writes it by hand.
pub trait Configured: Any + Send + Sync {
    /// Keras's class name, or your own.
    fn class_name(&self) -> &'static str;

    /// Its own configuration, without name, trainable and dtype. A layer that cannot be written to a
    /// file says so here.
    fn config(&self) -> Result<Json> {
        Err(Error::config(
            "",
            format!("`{}` is your own layer and cannot be written to JSON", self.class_name()),
        ))
    }

    /// Keras's module, for files.
    fn module(&self) -> &'static str {
        "keras.layers"
    }

    /// The name that an object of the user's own is registered under: "my_package>MyLayer".
    fn registered_name(&self) -> Option<String> {
        None
    }
}

/// A layer. `x` are the arguments of one call: shapes and types before there are values.
pub trait Layer: Configured {
    /// Refuses hyperparameters that cannot work, whatever the input.
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

    /// The layers inside: those of a nested model, a wrapped layer, a cell.
    fn children(&self) -> Vec<Child<'_>> {
        Vec::new()
    }

    /// What a child is called with, which decides its weights. Default: what this layer is called
    /// with.
    fn child_inputs(&self, _child: &LayerEntry, x: &Args<Spec>) -> Result<Args<Spec>> {
        Ok(x.clone())
    }

    /// Computes the outputs.
    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>>;

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

    /// Whether integer inputs are brought to the float type that the layer computes in. Layers that
    /// take indices, or only move values, say no.
    fn casts_integers(&self) -> bool {
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

/// Writes the table of layers, one line a layer: `Dense = "Dense" [];`, with Keras's class
/// name.
#[macro_export]
macro_rules! layers {
    ($kind:ident, $module:literal: $($ty:ident = $class:literal [$($alias:literal),*];)*) => {
        sconce_core::registry! { $kind: $($ty = $class [$($alias),*];)* }

        $(impl $crate::Configured for $ty {
            fn class_name(&self) -> &'static str {
                $class
            }

            fn config(&self) -> sconce_core::Result<sconce_core::Json> {
                serde_json::to_value(self)
                    .map_err(|e| sconce_core::Error::config("", e.to_string()))
            }

            fn module(&self) -> &'static str {
                $module
            }
        })*
    };
}
