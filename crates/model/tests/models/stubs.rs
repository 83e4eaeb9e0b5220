//! Stub layers in plain candle code, and short words for tests.

use sconce_core::{
    Args, Config, Context, Device, FirstValues, Gradients, Result, Spec, Tensor, Value, WeightSpec,
};
use sconce_layers::initializers::Ones;
use sconce_layers::{Call, Child, Layer, LayerEntry};
use sconce_model::{Architecture, Network, SymbolicTensor};
use std::sync::Arc;

pub fn f32s(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

pub fn tensor(values: &[f32], dims: &[usize]) -> Tensor {
    Tensor::from_slice(values, dims, &Device::Cpu).unwrap()
}

pub fn model(inputs: &[&SymbolicTensor], outputs: &[&SymbolicTensor]) -> Architecture {
    Architecture::functional(inputs.iter().copied(), outputs.iter().copied()).unwrap()
}

pub fn build(architecture: &Architecture) -> Network {
    Network::build(architecture, None, &Device::Cpu, FirstValues::Seed(1)).unwrap()
}

/// The JSON of a model, read again.
pub fn again(architecture: &Architecture) -> Architecture {
    let json = architecture.to_json(None).unwrap();
    let again = Architecture::from_json(&json).unwrap();
    assert_eq!(again.to_json(None).unwrap(), json);
    again
}

pub fn run(network: &Network, inputs: &[Tensor], cx: &mut Context) -> Vec<Vec<f32>> {
    network.forward(inputs, cx).unwrap().iter().map(f32s).collect()
}

/// The gradients of the sum of all outputs in training.
pub fn gradients(network: &Network, inputs: &[Tensor]) -> Gradients {
    let mut cx = Context::training(0, 0);
    let outputs = network.forward(inputs, &mut cx).unwrap();
    let sums = outputs.iter().map(|y| y.sum_all().unwrap());
    let loss = sums.reduce(|a, b| (a + b).unwrap()).unwrap();
    network.store().backward(&loss).unwrap()
}

/// Compares [`gradients`] with central differences of the sum of all outputs.
#[track_caller]
pub fn check_gradients(network: &Network, inputs: &[Tensor]) {
    let sum = || -> f64 {
        let outputs = run(network, inputs, &mut Context::inference());
        outputs.iter().flatten().map(|v| f64::from(*v)).sum()
    };
    for (parameter, gradient) in network.store().trainable().zip(gradients(network, inputs).0) {
        let value = f32s(&parameter.var);
        let step = 1.0 / 64.0;
        for (element, ours) in f32s(&gradient.unwrap()).into_iter().enumerate() {
            let moved = |by: f32| {
                let mut moved = value.clone();
                moved[element] += by;
                parameter.set(&tensor(&moved, parameter.var.dims())).unwrap();
                sum()
            };
            let quotient = (moved(step) - moved(-step)) / f64::from(2.0 * step);
            let difference = (f64::from(ours) - quotient).abs();
            let path = &parameter.path;
            assert!(difference < 2e-3 * quotient.abs().max(1.0), "{path}: {ours} {quotient}");
        }
        parameter.set(&tensor(&value, parameter.var.dims())).unwrap();
    }
}

/// A layer without configuration: its class name.
macro_rules! class {
    ($($name:ident)*) => {$(
        impl sconce_layers::Configured for $name {
            fn class_name(&self) -> &'static str {
                stringify!($name)
            }
        }
    )*};
}
pub(crate) use class;

pub fn same(x: &Args<Spec>) -> Result<Vec<Spec>> {
    Ok(x.flat().first().into_iter().copied().cloned().collect())
}

/// `x tanh(w)`, with one weight; ends masks.
pub struct Plain;
class!(Plain);

impl Layer for Plain {
    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        same(x)
    }

    fn weights(&self, _: &Args<Spec>) -> Result<Vec<WeightSpec>> {
        Ok(vec![WeightSpec::new("w", &[1], Arc::new(Ones {}))])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        Ok(vec![call.single()?.broadcast_mul(&call.weight("w")?.tanh()?)?])
    }
}

/// Runs a cell twice, as a recurrent layer would.
pub struct Twice {
    pub cell: LayerEntry,
}
class!(Twice);

impl Layer for Twice {
    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        same(x)
    }

    fn children(&self) -> Vec<Child<'_>> {
        vec![Child::One("cell", &self.cell)]
    }

    fn with_children(&self, mut children: Vec<LayerEntry>) -> Result<Arc<dyn Layer>> {
        Ok(Arc::new(Self { cell: children.remove(0) }))
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let mut x = Value::from(call.single()?.clone());
        for step in 1..=2 {
            x = call.child_with_key(&self.cell, Args::one(x), step)?.remove(0);
        }
        Ok(vec![x.tensor])
    }
}

/// `query + scale * sum(values)`; everything but the query may be left out.
#[derive(Clone, Debug, Config)]
#[config(package = "tests")]
pub struct Blend {}

impl Layer for Blend {
    fn arguments(&self) -> &'static [&'static str] {
        &["query", "values", "scale", "options"]
    }

    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        same(x)
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let scale = call.flag("scale").and_then(|scale| scale.as_f64()).unwrap_or(1.0);
        let mut sum = call.x(0)?.clone();
        for value in call.tensors().into_iter().skip(1) {
            sum = (sum + (value * scale)?)?;
        }
        Ok(vec![sum])
    }
}
