//! Dense: `y = f(x kernel + bias)`.

use crate::constraints::Constraint;
use crate::fields::{bias, weight};
use crate::initializers::Initializer;
use crate::lora;
use crate::regularizers::Regularizer;
use crate::{Call, Layer};
use sconce_core::{Args, Config, Error, Result, Spec, Tensor, WeightSpec};
use sconce_ops::ActivationFn;
use sconce_ops::activations::Range;

/// A fully connected layer.
///
/// x `[.., in]`, kernel `[in, units]`, bias `[units]`, y `[.., units]`. Defaults as in Keras: linear,
/// with bias, `glorot_uniform` kernel, zero bias.
#[derive(Clone, Debug, Config)]
#[config(named, only(quantization_config = null))]
pub struct Dense {
    /// Length of the last axis that comes out; at least 1.
    #[config(range = "[1, inf)")]
    pub units: usize,
    /// Function applied to the result.
    #[config(default = "linear", null = "linear")]
    pub activation: ActivationFn,
    /// Whether there is a bias.
    #[config(default = true)]
    pub use_bias: bool,
    /// First values of the kernel.
    #[config(default = "glorot_uniform")]
    pub kernel_initializer: Initializer,
    /// First values of the bias.
    #[config(default = "zeros")]
    pub bias_initializer: Initializer,
    /// Penalty on the kernel.
    pub kernel_regularizer: Option<Regularizer>,
    /// Penalty on the bias.
    pub bias_regularizer: Option<Regularizer>,
    /// Projection of the kernel after each update.
    pub kernel_constraint: Option<Constraint>,
    /// Projection of the bias after each update.
    pub bias_constraint: Option<Constraint>,
    /// Rank of LoRA, which freezes the kernel and trains a change of it of this rank: see
    /// [`LayerEntry::enable_lora`](crate::LayerEntry::enable_lora).
    #[config(skip_none, range = "[1, inf)")]
    pub lora_rank: Option<usize>,
    /// Strength of LoRA; left out, the rank.
    #[config(skip_none)]
    pub lora_alpha: Option<f64>,
}

impl Layer for Dense {
    fn check(&self) -> Result<()> {
        self.activation.get().map_err(|e| e.under("activation"))?;
        lora::check(self, self.kernel_constraint.is_some())?;
        Ok(())
    }

    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let x = x.single("Dense")?;
        if x.dims.rank() < 2 {
            return Err(Error::layer(
                "",
                format!("Dense takes inputs of shape (batch, .., features), got {}", x.dims),
            ));
        }
        x.dims.last()?;
        let z = x.dims.with_last(self.units);
        let activation = self.activation.get().map_err(|e| e.under("activation"))?;
        Ok(vec![x.with_dims(activation.output_dims(&z)?)])
    }

    fn weights(&self, x: &Args<Spec>) -> Result<Vec<WeightSpec>> {
        let features = x.single("Dense")?.dims.last()?;
        let dims = [features, self.units];
        let (initializer, regularizer, constraint) =
            (&self.kernel_initializer, &self.kernel_regularizer, &self.kernel_constraint);
        let mut specs =
            vec![weight("kernel", &dims, "kernel", initializer, regularizer, constraint)?];
        let (initializer, regularizer, constraint) =
            (&self.bias_initializer, &self.bias_regularizer, &self.bias_constraint);
        let dims = self.use_bias.then_some(std::slice::from_ref(&self.units));
        specs.extend(bias(dims, initializer, regularizer, constraint)?);
        Ok(lora::with_lora(self, specs))
    }

    lora::of_fields!("kernel");

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let kernel = lora::adapted(self, call, "kernel")?;
        let bias = call.find_weight("bias");
        let activation = call.following().activation(self.activation.get()?);
        Ok(vec![sconce_ops::dense(call.single()?, &kernel, bias.as_ref(), activation)?])
    }

    fn takes_activation(&self) -> bool {
        self.activation.name() == "linear"
    }

    fn supports_masking(&self) -> bool {
        true
    }

    fn outputs_probabilities(&self) -> Option<bool> {
        Some(self.activation.get().is_ok_and(|a| a.range() == Range::Probability))
    }
}
