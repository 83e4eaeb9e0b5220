//! EinsumDense: `y = f(einsum(x, kernel) + bias)`.

mod equation;

use crate::constraints::Constraint;
use crate::fields::{bias, weight};
use crate::initializers::{Initializer, Initializers};
use crate::lora;
use crate::regularizers::Regularizer;
use crate::{Call, Layer};
use equation::{Equation, Resolved};
use sconce_core::schema::Definitions;
use sconce_core::value::mismatch;
use sconce_core::{Args, Config, ConfigValue, Dims, Json, Part, Result, Spec, Tensor, WeightSpec};
use sconce_ops::activations::Range;
use sconce_ops::arithmetic::{Operator, arithmetic};
use sconce_ops::{ActivationFn, activations, reshape};
use serde_json::json;
use std::sync::Arc;

/// A dense layer whose product is stated by an equation in the manner of `einsum`: `"abc,cd->abd"` is
/// [`Dense`](super::Dense) on sequences, `"abc,cde->abde"` makes heads of its features.
///
/// Three letters or words before, between and after `,` and `->` name the axes of x (the batch axis
/// first), of the kernel and of y. `...` stands for any number of axes of x and y, on their left or
/// right.
#[derive(Clone, Debug, Config)]
#[config(named, new(equation, output_shape), only(quantization_config = null))]
pub struct EinsumDense {
    /// The shape of y without the batch axis and what `...` stands for; `None` where an axis is taken
    /// from x.
    #[config(with = output_shape)]
    pub output_shape: Vec<Option<usize>>,
    /// The equation, "abc,cd->abd".
    pub equation: String,
    /// Function applied to the result.
    #[config(default = "linear", null = "linear")]
    pub activation: ActivationFn,
    /// The axes of y that have a bias, "d"; none by default.
    pub bias_axes: Option<String>,
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

/// Keras takes one length too.
mod output_shape {
    use super::{ConfigValue, Definitions, Json, Result, json, mismatch};

    pub fn from_json(value: &Json) -> Result<Vec<Option<usize>>> {
        match value {
            Json::Array(_) => Vec::from_json(value),
            one => usize::from_json(one)
                .map(|len| vec![Some(len)])
                .map_err(|_| mismatch("a length or a list of them", value)),
        }
    }

    pub fn to_json(value: &Vec<Option<usize>>) -> Result<Json> {
        value.to_json()
    }

    pub fn schema(_: &mut Definitions) -> Json {
        let length = json!({"type": "integer", "minimum": 0});
        let lengths = json!({"type": ["integer", "null"], "minimum": 0});
        json!({"anyOf": [length, {"type": "array", "items": lengths}]})
    }
}

impl EinsumDense {
    fn resolve(&self, x: &Dims) -> Result<Resolved> {
        let equation = Equation::parse(&self.equation)?;
        equation.resolve(x, &self.output_shape, self.bias_axes.as_deref())
    }

    /// The kernel's initializer. One that scales by fans is told which axes of the kernel are inputs
    /// and outputs, unless it states them.
    fn scaled_initializer(&self, resolved: &Resolved) -> Result<Initializer> {
        let initializer = &self.kernel_initializer;
        let Some(Json::Object(config)) = initializer.config() else {
            return Ok(initializer.clone());
        };
        let given = |key: &str| config.get(key).is_some_and(|axes| !axes.is_null());
        if !config.contains_key("input_axes") || (given("input_axes") && given("output_axes")) {
            return Ok(initializer.clone());
        }
        let mut config = config.clone();
        let (inputs, outputs) = resolved.kernel_fans();
        config.insert("input_axes".to_string(), json!(inputs));
        config.insert("output_axes".to_string(), json!(outputs));
        Part::<Initializers>::new(initializer.class_name(), Json::Object(config))
    }
}

impl Layer for EinsumDense {
    fn check(&self) -> Result<()> {
        self.activation.get().map_err(|e| e.under("activation"))?;
        lora::check(self, self.kernel_constraint.is_some())?;
        Equation::parse(&self.equation).map(drop)
    }

    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let x = x.single("EinsumDense")?;
        let y = self.resolve(&x.dims)?.output;
        let activation = self.activation.get().map_err(|e| e.under("activation"))?;
        Ok(vec![x.with_dims(activation.output_dims(&y)?)])
    }

    fn weights(&self, x: &Args<Spec>) -> Result<Vec<WeightSpec>> {
        let resolved = self.resolve(&x.single("EinsumDense")?.dims)?;
        let first = self.scaled_initializer(&resolved)?;
        let (regularizer, constraint) = (&self.kernel_regularizer, &self.kernel_constraint);
        let dims = &resolved.kernel;
        let mut specs = vec![weight("kernel", dims, "kernel", &first, regularizer, constraint)?];
        let (initializer, regularizer, constraint) =
            (&self.bias_initializer, &self.bias_regularizer, &self.bias_constraint);
        specs.extend(bias(resolved.bias.as_deref(), initializer, regularizer, constraint)?);
        Ok(lora::with_lora(self, specs))
    }

    lora::of_fields!("kernel");

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let (x, kernel) = (call.single()?, lora::adapted(self, call, "kernel")?);
        let resolved = self.resolve(&Dims::known(x.dims()))?;
        let mut y = product(x, &kernel, &resolved)?;
        if let Some(bias) = call.find_weight("bias") {
            y = arithmetic(Operator::Add, &y, &bias)?;
        }
        Ok(vec![self.activation.get()?.call(&y)?])
    }

    fn outputs_probabilities(&self) -> Option<bool> {
        Some(self.activation.get().is_ok_and(|a| a.range() == Range::Probability))
    }
}

/// The axes of a tensor in another order.
fn permuted(x: &Tensor, order: &[usize]) -> Result<Tensor> {
    if order.is_sorted() {
        return Ok(x.clone());
    }
    Ok(x.permute(order)?.contiguous()?)
}

/// The product of x and the kernel: both as matrices, one for each place of the axes that x, kernel and
/// y have in common.
fn product(x: &Tensor, kernel: &Tensor, resolved: &Resolved) -> Result<Tensor> {
    let plan = resolved.plan();
    let mut x = x.clone();
    if !plan.summed.is_empty() {
        x = x.sum_keepdim(plan.summed.as_slice())?;
    }
    let length = |t: &Tensor, axes: &[usize]| -> usize {
        axes.iter().map(|axis| t.dims().get(*axis).copied().unwrap_or(1)).product()
    };
    let (shared, rows) = (length(&x, &plan.x_shared), length(&x, &plan.x_rows));
    let inner = length(&x, &plan.x_inner);
    let columns = length(kernel, &plan.kernel_columns);
    let order = [&plan.x_shared[..], &plan.x_rows, &plan.x_inner, &plan.summed].concat();
    let a = permuted(&x, &order)?;
    let order = [&plan.kernel_shared[..], &plan.kernel_inner, &plan.kernel_columns].concat();
    let b = permuted(kernel, &order)?;
    let rest = plan.x_shared.iter().chain(&plan.x_rows).map(|axis| (&x, axis));
    let all = rest.chain(plan.kernel_columns.iter().map(|axis| (kernel, axis)));
    let lengths = all.map(|(t, axis)| Ok(t.dim(*axis)?)).collect::<Result<Vec<usize>>>()?;
    let y = match plan.x_shared.is_empty() {
        true => {
            let linear: Arc<dyn sconce_ops::Activation> = Arc::new(activations::Linear {});
            let (a, b) = (reshape(&a, (rows, inner))?, reshape(&b, (inner, columns))?);
            sconce_ops::dense(&a, &b, None, &linear)?
        }
        false => {
            let a = reshape(&a, (shared, rows, inner))?;
            a.matmul(&reshape(&b, (shared, inner, columns))?)?
        }
    };
    permuted(&reshape(&y, lengths)?, &plan.to_output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fans_are_those_of_the_equation() {
        let layer = EinsumDense::new("abc,dce->abde", vec![None, Some(2), Some(4)]);
        let x = Dims::batch_of(&[3, 5]);
        let resolved = layer.resolve(&x).unwrap();
        let config = layer.scaled_initializer(&resolved).unwrap().config().unwrap().clone();
        assert_eq!(config["input_axes"], json!([1]));
        assert_eq!(config["output_axes"], json!([0, 2]));
        let zeros = layer.kernel_initializer("zeros");
        assert_eq!(zeros.scaled_initializer(&resolved).unwrap().class_name(), "Zeros");
    }

    #[test]
    fn equations_that_cannot_be_are_refused() {
        let outputs = |equation: &str, shape: &[Option<usize>], x: &[usize]| {
            let layer = EinsumDense::new(equation, shape.to_vec()).bias_axes("d");
            layer.check()?;
            layer.outputs(&Args::one(Spec::float(Dims::batch_of(x))))
        };
        for (equation, shape, x, message) in [
            ("abc->cd", &[Some(4)][..], &[3, 5][..], "must be of the form"),
            ("ab1,bc->ac", &[Some(4)], &[5], "must be of the form"),
            ("aa,ab->ab", &[Some(4)], &[5], "names an axis twice"),
            ("abc,cd->abe", &[None, Some(4)], &[3, 5], "`e` of the output"),
            ("abc,ce->abc", &[None, Some(5)], &[3, 5], "`e` of the kernel"),
            ("abc,cd->abd", &[None, Some(4)], &[5], "takes inputs of 3 axes, got (None, 5)"),
            ("abc,cd->abd", &[Some(4)], &[3, 5], "names 3 axes of the output"),
            ("abc,cd->abd", &[Some(7), Some(4)], &[3, 5], "`b`"),
            ("abc,cd->abd", &[None, None], &[3, 5], "the length of `d`"),
            ("abc,ce->abe", &[None, Some(2)], &[3, 5], "`d` of bias_axes"),
        ] {
            let error = outputs(equation, shape, x).unwrap_err().to_string();
            assert!(error.contains(message), "{equation}: {error}");
        }
    }
}
