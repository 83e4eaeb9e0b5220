//! Dense: `y = f(x kernel + bias)`.

use crate::constraints::Constraint;
use crate::initializers::Initializer;
use crate::layer::optional;
use crate::regularizers::Regularizer;
use crate::{Call, Layer};
use sconce_core::{Args, Error, Json, Result, Spec, Tensor, WeightSpec};
use sconce_ops::ActivationFn;
use sconce_ops::activations::Range;
use serde::{Deserialize, Serialize};

/// A fully connected layer.
///
/// x `[.., in]`, kernel `[in, units]`, bias `[units]`, y `[.., units]`. Defaults as in Keras: linear,
/// with bias, `glorot_uniform` kernel, zero bias.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dense {
    /// Length of the last axis that comes out; at least 1.
    pub units: usize,
    /// Function applied to the result.
    #[serde(default = "linear", deserialize_with = "null_is_linear")]
    pub activation: ActivationFn,
    /// Whether there is a bias.
    #[serde(default = "yes")]
    pub use_bias: bool,
    /// First values of the kernel.
    #[serde(default = "glorot_uniform")]
    pub kernel_initializer: Initializer,
    /// First values of the bias.
    #[serde(default = "zeros")]
    pub bias_initializer: Initializer,
    /// Penalty on the kernel.
    #[serde(default)]
    pub kernel_regularizer: Option<Regularizer>,
    /// Penalty on the bias.
    #[serde(default)]
    pub bias_regularizer: Option<Regularizer>,
    /// Projection of the kernel after each update.
    #[serde(default)]
    pub kernel_constraint: Option<Constraint>,
    /// Projection of the bias after each update.
    #[serde(default)]
    pub bias_constraint: Option<Constraint>,
    /// Keras's quantisation settings; only null.
    #[serde(default)]
    pub quantization_config: Option<Json>,
}

fn yes() -> bool {
    true
}

fn linear() -> ActivationFn {
    "linear".into()
}

fn null_is_linear<'de, D: serde::Deserializer<'de>>(d: D) -> Result<ActivationFn, D::Error> {
    Ok(Option::<ActivationFn>::deserialize(d)?.unwrap_or_else(linear))
}

fn glorot_uniform() -> Initializer {
    "glorot_uniform".into()
}

fn zeros() -> Initializer {
    "zeros".into()
}

impl Dense {
    /// With `units` outputs and Keras's defaults.
    pub fn new(units: usize) -> Self {
        Self {
            units,
            activation: linear(),
            use_bias: true,
            kernel_initializer: glorot_uniform(),
            bias_initializer: zeros(),
            kernel_regularizer: None,
            bias_regularizer: None,
            kernel_constraint: None,
            bias_constraint: None,
            quantization_config: None,
        }
    }

    /// Sets the activation, by name (`"relu"`) or configured.
    pub fn activation(mut self, activation: impl Into<ActivationFn>) -> Self {
        self.activation = activation.into();
        self
    }

    /// With or without a bias.
    pub fn use_bias(mut self, use_bias: bool) -> Self {
        self.use_bias = use_bias;
        self
    }

    /// Sets the kernel's initializer.
    pub fn kernel_initializer(mut self, initializer: impl Into<Initializer>) -> Self {
        self.kernel_initializer = initializer.into();
        self
    }

    /// Sets the bias's initializer.
    pub fn bias_initializer(mut self, initializer: impl Into<Initializer>) -> Self {
        self.bias_initializer = initializer.into();
        self
    }

    /// Adds a penalty on the kernel.
    pub fn kernel_regularizer(mut self, regularizer: impl Into<Regularizer>) -> Self {
        self.kernel_regularizer = Some(regularizer.into());
        self
    }

    /// Adds a penalty on the bias.
    pub fn bias_regularizer(mut self, regularizer: impl Into<Regularizer>) -> Self {
        self.bias_regularizer = Some(regularizer.into());
        self
    }

    /// Projects the kernel after each update.
    pub fn kernel_constraint(mut self, constraint: impl Into<Constraint>) -> Self {
        self.kernel_constraint = Some(constraint.into());
        self
    }

    /// Projects the bias after each update.
    pub fn bias_constraint(mut self, constraint: impl Into<Constraint>) -> Self {
        self.bias_constraint = Some(constraint.into());
        self
    }
}

impl Layer for Dense {
    fn check(&self) -> Result<()> {
        if self.units == 0 {
            return Err(Error::config("units", "must be at least 1, got 0"));
        }
        if self.quantization_config.is_some() {
            return Err(Error::config("quantization_config", "quantised layers are not supported"));
        }
        self.activation.get().map_err(|e| e.under("activation"))?;
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
        let initializer =
            |part: &Initializer, key: &str| part.get().cloned().map_err(|e| e.under(key));
        let kernel = initializer(&self.kernel_initializer, "kernel_initializer")?;
        let mut specs = vec![
            WeightSpec::new("kernel", &[features, self.units], kernel)
                .regularizer(optional(&self.kernel_regularizer, "kernel_regularizer")?)
                .constraint(optional(&self.kernel_constraint, "kernel_constraint")?),
        ];
        if self.use_bias {
            let bias = initializer(&self.bias_initializer, "bias_initializer")?;
            specs.push(
                WeightSpec::new("bias", &[self.units], bias)
                    .regularizer(optional(&self.bias_regularizer, "bias_regularizer")?)
                    .constraint(optional(&self.bias_constraint, "bias_constraint")?),
            );
        }
        Ok(specs)
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let (kernel, bias) = (call.weight("kernel")?, call.find_weight("bias"));
        let activation = self.activation.get()?;
        Ok(vec![sconce_ops::dense(call.single()?, &kernel, bias.as_ref(), activation)?])
    }

    fn supports_masking(&self) -> bool {
        true
    }

    fn outputs_probabilities(&self) -> Option<bool> {
        Some(self.activation.get().is_ok_and(|a| a.range() == Range::Probability))
    }
}

impl crate::Named<Dense> {
    /// Sets the activation, by name (`"relu"`) or configured.
    pub fn activation(self, activation: impl Into<ActivationFn>) -> Self {
        self.map(|layer| layer.activation(activation))
    }
}
