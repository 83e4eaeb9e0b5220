//! Checks a gradient against finite differences in f64, and the two forms of an operation against
//! each other. For our own tests, and for anyone who writes a layer.

use crate::op::Operation;
use candle_core::{DType, Device, Tensor, Var};
use sconce_core::error::from_candle;
use sconce_core::{Error, GradientSink, Result, Stream, Tape};

/// A tensor of the given shape on the CPU, in f64, uniform in -2..2, the same for the same name.
pub fn sample(name: &str, dims: &[usize]) -> Result<Tensor> {
    let mut stream = Stream::named(11, name);
    let len = dims.iter().product();
    let values: Vec<f64> = (0..len).map(|_| 4.0 * stream.uniform_f64() - 2.0).collect();
    Ok(Tensor::from_vec(values, dims, &Device::Cpu)?)
}

/// Compares the gradient of `sum(f(inputs) * g)`, for a fixed random `g`, with central differences,
/// for every element of every float input. Those are taken in f64; integer ones stay as they are.
///
/// # Errors
/// Names the input, the element and both values where they differ by more than `tolerance`
/// (relative to the larger of 1 and the difference quotient); also where an input gets no gradient.
pub fn check(
    f: impl Fn(&[&Tensor]) -> candle_core::Result<Tensor>,
    inputs: &[Tensor],
    tolerance: f64,
) -> Result<()> {
    check_all(|x| Ok(vec![f(x)?]), inputs, tolerance)
}

/// As [`check`], for a function of several results: of `sum(f(inputs)[k] * g[k])` over all of them.
pub fn check_all(
    f: impl Fn(&[&Tensor]) -> candle_core::Result<Vec<Tensor>>,
    inputs: &[Tensor],
    tolerance: f64,
) -> Result<()> {
    let variables = variables(inputs, DType::F64, &Device::Cpu)?;
    let tensors: Vec<&Tensor> = variables.iter().collect();
    let scalar = |inputs: &[&Tensor]| -> candle_core::Result<Tensor> {
        let mut sum: Option<Tensor> = None;
        for (k, y) in f(inputs)?.iter().enumerate() {
            let g = sample(&format!("gradient of result {k}"), y.dims())?;
            let part = (y * g)?.sum_all()?;
            sum = Some(match sum {
                Some(sum) => (sum + part)?,
                None => part,
            });
        }
        sum.ok_or_else(|| candle_core::Error::msg("the function has no result"))
    };
    let (total, tape) = Tape::record(|| scalar(&tensors));
    let mut sink = GradientSink::new(tensors.iter().copied());
    tape.backward(&total?, &mut sink).map_err(from_candle)?;
    let value = |values: &[Tensor]| -> Result<f64> {
        let values: Vec<&Tensor> = values.iter().collect();
        Ok(scalar(&values)?.to_scalar::<f64>()?)
    };
    let step = 1e-5;
    for (index, var) in variables.iter().enumerate().filter(|(_, x)| x.is_variable()) {
        let gradient = sink
            .take(var)
            .ok_or_else(|| Error::training(format!("input {index} gets no gradient")))?
            .flatten_all()?
            .to_vec1::<f64>()?;
        let base = var.flatten_all()?.to_vec1::<f64>()?;
        for (element, ours) in gradient.iter().enumerate() {
            let moved = |by: f64| -> Result<f64> {
                let mut values: Vec<Tensor> = variables.iter().map(Tensor::detach).collect();
                let mut moved = base.clone();
                if let Some(value) = moved.get_mut(element) {
                    *value += by;
                }
                if let Some(slot) = values.get_mut(index) {
                    *slot = Tensor::from_vec(moved, var.dims(), &Device::Cpu)?;
                }
                value(&values)
            };
            let quotient = (moved(step)? - moved(-step)?) / (2.0 * step);
            if (quotient - ours).abs() > tolerance * quotient.abs().max(1.0) {
                return Err(Error::training(format!(
                    "input {index}, element {element}: the gradient is {ours}, finite differences give {quotient}"
                )));
            }
        }
    }
    Ok(())
}

/// Float inputs as variables of a type, integer ones as they are, on a device.
fn variables(inputs: &[Tensor], dtype: DType, device: &Device) -> candle_core::Result<Vec<Tensor>> {
    let variable = |x: &Tensor| {
        let x = x.to_device(device)?;
        match x.dtype().is_float() {
            true => Ok(Var::from_tensor(&x.to_dtype(dtype)?)?.into_inner()),
            false => Ok(x),
        }
    };
    inputs.iter().map(variable).collect()
}

/// Checks an operation three ways: its composed form against finite differences in f64, and its
/// fused against its composed form in f32, values and gradients. `make` builds the operation anew
/// for each run. In a build with CUDA, also the composed form on the first GPU.
///
/// # Errors
/// Says which comparison failed, where, and both values.
pub fn check_operation<O: Operation>(make: impl Fn() -> O, inputs: &[Tensor]) -> Result<()> {
    check_operation_on(|_| make(), inputs)
}

/// As [`check_operation`], for operations that hold tensors, which must be on the given device.
///
/// # Errors
/// As of [`check_operation`].
pub fn check_operation_on<O: Operation>(
    make: impl Fn(&Device) -> O,
    inputs: &[Tensor],
) -> Result<()> {
    check_all(|x| make(&Device::Cpu).apply_all_composed(x), inputs, 1e-6)?;
    let operation = |x: &[&Tensor]| make(x.first().map_or(&Device::Cpu, |x| x.device()));
    check_all_forms(|x| operation(x).apply_all(x), |x| operation(x).apply_all_composed(x), inputs)
}

/// Checks two forms of one function against each other in f32, values and gradients. In a build with
/// CUDA, `composed` also on the first GPU; what it computes with must be on the device of its inputs.
///
/// # Errors
/// Says where they differ, and both values.
pub fn check_forms(
    fused: impl Fn(&[&Tensor]) -> candle_core::Result<Tensor>,
    composed: impl Fn(&[&Tensor]) -> candle_core::Result<Tensor>,
    inputs: &[Tensor],
) -> Result<()> {
    check_all_forms(|x| Ok(vec![fused(x)?]), |x| Ok(vec![composed(x)?]), inputs)
}

/// As [`check_forms`], for functions of several results.
pub fn check_all_forms(
    fused: impl Fn(&[&Tensor]) -> candle_core::Result<Vec<Tensor>>,
    composed: impl Fn(&[&Tensor]) -> candle_core::Result<Vec<Tensor>>,
    inputs: &[Tensor],
) -> Result<()> {
    let expected = results_and_gradients(&composed, inputs, &Device::Cpu)?;
    same("fused", &results_and_gradients(&fused, inputs, &Device::Cpu)?, &expected, 2e-5)?;
    // CUDA refuses tensors without elements.
    if cfg!(feature = "cuda") && inputs.iter().all(|x| x.elem_count() > 0) {
        let cuda = sconce_core::device::parse("cuda")?;
        same("on CUDA", &results_and_gradients(&composed, inputs, &cuda)?, &expected, 1e-4)?;
    }
    Ok(())
}

/// The results of a function in f32 and the gradients of its float inputs, on a device.
fn results_and_gradients(
    f: impl Fn(&[&Tensor]) -> candle_core::Result<Vec<Tensor>>,
    inputs: &[Tensor],
    device: &Device,
) -> Result<Vec<Vec<f32>>> {
    let variables = variables(inputs, DType::F32, device)?;
    let tensors: Vec<&Tensor> = variables.iter().collect();
    let (results, tape) = Tape::record(|| f(&tensors));
    let results = results?;
    let gradient = |(k, y): (usize, &Tensor)| -> Result<Tensor> {
        let g = sample(&format!("gradient of result {k}"), y.dims())?;
        Ok(g.to_dtype(DType::F32)?.to_device(device)?)
    };
    let gradients = results.iter().enumerate().map(gradient).collect::<Result<Vec<_>>>()?;
    let pairs: Vec<_> = results.iter().zip(&gradients).collect();
    let mut sink = GradientSink::new(tensors.iter().copied());
    tape.backward_from(&pairs, &mut sink).map_err(from_candle)?;
    let mut out = Vec::new();
    for y in &results {
        out.push(y.flatten_all()?.to_vec1::<f32>()?);
    }
    for var in &variables {
        let gradient = sink.take(var);
        out.push(gradient.map_or(Ok(Vec::new()), |g| g.flatten_all()?.to_vec1::<f32>())?);
    }
    Ok(out)
}

fn same(form: &str, ours: &[Vec<f32>], composed: &[Vec<f32>], tolerance: f32) -> Result<()> {
    for (which, (ours, composed)) in ours.iter().zip(composed).enumerate() {
        if ours.len() != composed.len() {
            return Err(Error::training(format!(
                "tensor {which}: {form} and composed differ in length"
            )));
        }
        for (element, (a, b)) in ours.iter().zip(composed).enumerate() {
            let equal = a == b || (a.is_nan() && b.is_nan());
            let near = (a - b).abs() <= tolerance * b.abs().max(1.0);
            if !equal && !near {
                return Err(Error::training(format!(
                    "tensor {which} (results first, then gradients), element {element}: {form} {a}, composed {b}"
                )));
            }
        }
    }
    Ok(())
}
