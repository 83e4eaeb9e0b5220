//! LoRA: a weight that stays as it is, and a change of low rank that is trained beside it.

use crate::initializers::{HeUniform, Zeros};
use crate::{Call, Layer};
use sconce_core::{Error, Result, Tensor, WeightSpec};
use sconce_ops::activations::Linear;
use sconce_ops::arithmetic::{Operator, arithmetic};
use sconce_ops::{Activation, reshape};
use std::sync::Arc;

/// `weight + alpha / rank * a b`, a `[.., rank]`, b `[rank, last axis of the weight]`: only a and b are trained.
/// Keras's `lora_rank` and `lora_alpha`; Hu et al., 2021.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lora {
    /// Length of the axis between a and b; at least 1.
    pub rank: usize,
    /// Strength of the change.
    pub alpha: f64,
}

impl Lora {
    /// Of the fields of a configuration; the strength is the rank if it is left out.
    pub(crate) fn of(rank: Option<usize>, alpha: Option<f64>) -> Option<Self> {
        rank.map(|rank| Self { rank, alpha: alpha.unwrap_or(rank as f64) })
    }

    fn change(self, a: &Tensor, b: &Tensor, weight: &Tensor) -> Result<Tensor> {
        let linear: Arc<dyn Activation> = Arc::new(Linear {});
        let rows = a.elem_count() / self.rank.max(1);
        let product = sconce_ops::dense(&reshape(a, (rows, self.rank))?, b, None, &linear)?;
        let scale = Tensor::new(self.alpha / self.rank as f64, weight.device())?;
        let scaled = arithmetic(Operator::Multiply, &product, &scale.to_dtype(weight.dtype())?)?;
        Ok(reshape(&scaled, weight.shape())?)
    }
}

/// What a layer with the fields `lora_rank` and `lora_alpha` says of LoRA, which changes the weight of this name.
macro_rules! of_fields {
    ($weight:literal) => {
        fn lora(&self) -> Option<(&'static str, crate::Lora)> {
            Some(($weight, crate::Lora::of(self.lora_rank, self.lora_alpha)?))
        }

        fn with_lora(&self, lora: crate::Lora) -> Result<std::sync::Arc<dyn Layer>> {
            let crate::Lora { rank, alpha } = lora;
            let layer = Self { lora_rank: Some(rank), lora_alpha: Some(alpha), ..self.clone() };
            Ok(std::sync::Arc::new(layer))
        }
    };
}
pub(crate) use of_fields;

/// The names of a and b for a weight.
fn names(weight: &str) -> [String; 2] {
    ["a", "b"].map(|part| format!("lora_{weight}_{part}"))
}

/// Refuses a weight with a projection, and what is no strength.
pub(crate) fn check(layer: &impl Layer, is_constrained: bool) -> Result<()> {
    let Some((weight, lora)) = layer.lora() else { return Ok(()) };
    if is_constrained {
        let message = format!("LoRA does not go with `{weight}_constraint`; leave one of them out");
        return Err(Error::config("lora_rank", message));
    }
    crate::fields::require_finite("lora_alpha", lora.alpha)
}

/// Adds a and b, and freezes the weight.
pub(crate) fn with_lora(layer: &impl Layer, mut specs: Vec<WeightSpec>) -> Vec<WeightSpec> {
    let Some((weight, Lora { rank, .. })) = layer.lora() else { return specs };
    let Some(frozen) = specs.iter_mut().find(|spec| spec.name == weight) else { return specs };
    frozen.trainable = false;
    let regularizer = frozen.regularizer.clone();
    let (last, before) = frozen.dims.split_last().unwrap_or((&0, &[]));
    let (a_dims, b_dims) = ([before, &[rank]].concat(), [rank, *last]);
    let [a, b] = names(weight);
    let a = WeightSpec::new(&a, &a_dims, Arc::new(HeUniform::new()));
    let b = WeightSpec::new(&b, &b_dims, Arc::new(Zeros {}));
    specs.extend([a, b].map(|spec| spec.regularizer(regularizer.clone())));
    specs
}

/// A weight of a call, with its change if the layer has LoRA.
pub(crate) fn adapted(layer: &impl Layer, call: &Call<'_>, name: &str) -> Result<Tensor> {
    let weight = call.weight(name)?;
    let Some((_, lora)) = layer.lora() else { return Ok(weight) };
    let [a, b] = names(name);
    let change = lora.change(&call.weight(&a)?, &call.weight(&b)?, &weight)?;
    Ok(arithmetic(Operator::Add, &weight, &change)?)
}

/// What of a layer's weights stands in Keras's files: LoRA's change is merged into the weight there.
pub enum Filed {
    /// As it is.
    Same,
    /// With the change.
    Merged(Tensor),
    /// Nowhere; zeros once the weights are read.
    Left,
}

impl crate::LayerEntry {
    /// Enables LoRA on the layer: its kernel (or the vectors of an embedding) stays as it is from now on, and a
    /// product of two matrices of this rank, 0 at first, is trained beside it. `alpha`: its strength, the rank if
    /// left out. Models take it into account when they are compiled next.
    ///
    /// # Errors
    /// If the layer is not built, has LoRA already, or is of a class without it.
    pub fn enable_lora(&self, rank: usize, alpha: Option<f64>) -> Result<()> {
        let refused = |message: String| Err(Error::layer(self.name(), message));
        if rank == 0 {
            return refused("the rank of LoRA must be at least 1, found 0".to_string());
        }
        if self.layer().lora().is_some() {
            return refused("LoRA is enabled already, which is done once".to_string());
        }
        let lora = Lora { rank, alpha: alpha.unwrap_or(rank as f64) };
        let layer = self.layer().with_lora(lora).map_err(|e| e.in_layer(self.name()))?;
        layer.check().or_else(|wrong| refused(wrong.to_string()))?;
        self.replace_layer(layer).map_err(|e| e.in_layer(self.name()))
    }

    /// What Keras's files hold for each of its weights.
    ///
    /// # Errors
    /// Of the operations that merge.
    pub fn filed(&self) -> Result<Vec<Filed>> {
        let found = self.layer().lora();
        let Some((name, lora)) = found else {
            return Ok(self.weights().iter().map(|_| Filed::Same).collect());
        };
        let [a_name, b_name] = names(name);
        let value = |name: &str| {
            let weight = self.weights().iter().find(|weight| weight.name == name);
            weight.map(|weight| weight.value(false).clone())
        };
        let filed = |of: &str| -> Result<Filed> {
            match (value(name), value(&a_name), value(&b_name)) {
                (Some(weight), Some(a), Some(b)) if of == name => {
                    let change = lora.change(&a, &b, &weight)?;
                    Ok(Filed::Merged(arithmetic(Operator::Add, &weight, &change)?))
                }
                _ if [&a_name, &b_name].iter().any(|lora| *lora == of) => Ok(Filed::Left),
                _ => Ok(Filed::Same),
            }
        };
        self.weights().iter().map(|weight| filed(&weight.name)).collect()
    }
}
