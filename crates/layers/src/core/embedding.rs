//! Embedding: a vector for each index, learned.

use crate::constraints::Constraint;
use crate::fields::weight;
use crate::initializers::Initializer;
use crate::lora;
use crate::regularizers::Regularizer;
use crate::{Call, Layer};
use sconce_core::{Args, Config, DType, Result, Spec, Tensor, WeightSpec};

/// `y[.., :] = embeddings[x[..], :]`: turns whole numbers from `0..input_dim` into vectors.
///
/// x `[batch, ..]` of integers (floats are truncated toward zero), embeddings `[input_dim, output_dim]`,
/// y `[batch, .., output_dim]`. An index outside the range is an error. With `mask_zero`, index 0 is
/// padding, and the layers that follow are told which steps are not.
#[derive(Clone, Debug, Config)]
#[config(named, only(quantization_config = null))]
pub struct Embedding {
    /// Number of indices, the largest plus 1.
    #[config(range = "[1, inf)")]
    pub input_dim: usize,
    /// Length of the vectors.
    #[config(range = "[1, inf)")]
    pub output_dim: usize,
    /// First values of the vectors.
    #[config(default = "uniform")]
    pub embeddings_initializer: Initializer,
    /// Penalty on the vectors.
    pub embeddings_regularizer: Option<Regularizer>,
    /// Projection of the vectors after each update.
    pub embeddings_constraint: Option<Constraint>,
    /// Whether index 0 is padding.
    #[config(default = false)]
    pub mask_zero: bool,
    /// Rank of LoRA, which freezes the vectors and trains a change of it of this rank: see
    /// [`LayerEntry::enable_lora`](crate::LayerEntry::enable_lora).
    #[config(skip_none, range = "[1, inf)")]
    pub lora_rank: Option<usize>,
    /// Strength of LoRA; left out, the rank.
    #[config(skip_none)]
    pub lora_alpha: Option<f64>,
}

/// The vectors as a weight.
pub(super) fn embeddings(
    dims: [usize; 2],
    initializer: &Initializer,
    regularizer: &Option<Regularizer>,
    constraint: &Option<Constraint>,
) -> Result<WeightSpec> {
    weight("embeddings", &dims, "embeddings", initializer, regularizer, constraint)
}

/// What comes out of a look-up: one more axis.
pub(super) fn looked_up(x: &Spec, output_dim: usize) -> Spec {
    let mut dims = x.dims.clone();
    dims.0.push(Some(output_dim));
    Spec { dims, dtype: DType::F32 }
}

/// Which indices are no padding.
pub(super) fn no_padding(x: &Tensor) -> Result<Tensor> {
    Ok(x.detach().to_dtype(DType::I64)?.ne(0i64)?)
}

impl Layer for Embedding {
    fn check(&self) -> Result<()> {
        lora::check(self, self.embeddings_constraint.is_some())
    }

    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        Ok(vec![looked_up(x.single("Embedding")?, self.output_dim)])
    }

    fn weights(&self, _: &Args<Spec>) -> Result<Vec<WeightSpec>> {
        let vectors = embeddings(
            [self.input_dim, self.output_dim],
            &self.embeddings_initializer,
            &self.embeddings_regularizer,
            &self.embeddings_constraint,
        )?;
        Ok(lora::with_lora(self, vec![vectors]))
    }

    lora::of_fields!("embeddings");

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let vectors = lora::adapted(self, call, "embeddings")?;
        Ok(vec![sconce_ops::embedding(&vectors, call.single()?)?])
    }

    fn supports_masking(&self) -> bool {
        self.mask_zero
    }

    fn makes_masks(&self) -> bool {
        self.mask_zero
    }

    fn mask(&self, call: &Call<'_>, _: &[Tensor]) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![self.mask_zero.then(|| no_padding(call.single()?)).transpose()?])
    }

    fn casts_integers(&self) -> bool {
        false
    }
}
