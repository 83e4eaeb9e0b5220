//! Comparison of tensors with what Keras computed.

use candle_core::{DType, Device, Tensor};

/// How `ours` differs from `expected`, if it does: in shape, or in an element by more than
/// `tolerance * max(1, |expected|)`. Not-a-numbers and equal infinities are equal. The message names
/// the worst element. Types and devices do not matter.
pub fn difference(ours: &Tensor, expected: &Tensor, tolerance: f64) -> Option<String> {
    if ours.dims() != expected.dims() {
        return Some(format!("shape {:?}, expected {:?}", ours.dims(), expected.dims()));
    }
    let (ours, wanted) = (values(ours), values(expected));
    let error = |a: f64, b: f64| {
        let same = a == b || (a.is_nan() && b.is_nan());
        let error = (a - b).abs() / b.abs().max(1.0);
        match (same, error.is_nan()) {
            (true, _) => 0.0,
            (_, true) => f64::INFINITY,
            _ => error,
        }
    };
    let errors = ours.iter().zip(&wanted).map(|(a, b)| error(*a, *b)).enumerate();
    let (at, worst) = errors.max_by(|a, b| a.1.total_cmp(&b.1))?;
    (worst > tolerance).then(|| {
        let place = place(at, expected.dims());
        format!("at {place:?}: {}, expected {} (error {worst:.2e})", ours[at], wanted[at])
    })
}

/// Asserts that there is no [`difference`]; `what` names the comparison in the message.
#[track_caller]
pub fn assert_close(what: &str, ours: &Tensor, expected: &Tensor, tolerance: f64) {
    if let Some(difference) = difference(ours, expected, tolerance) {
        panic!("{what}: {difference}");
    }
}

fn values(tensor: &Tensor) -> Vec<f64> {
    let here = tensor.to_device(&Device::Cpu);
    let flat = here.and_then(|t| t.to_dtype(DType::F64)?.flatten_all()?.to_vec1());
    flat.unwrap_or_else(|error| panic!("a tensor that cannot be read: {error}"))
}

/// The index of each axis of the element at `offset`.
fn place(mut offset: usize, dims: &[usize]) -> Vec<usize> {
    let mut place = vec![0; dims.len()];
    for (index, dim) in place.iter_mut().zip(dims).rev() {
        (*index, offset) = (offset % dim, offset / dim);
    }
    place
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(values: &[f32]) -> Tensor {
        Tensor::new(values, &Device::Cpu).unwrap().reshape((2, 2)).unwrap()
    }

    #[test]
    fn finds_the_worst_element() {
        let a = tensor(&[1.0, f32::NAN, f32::INFINITY, 1000.0]);
        assert_eq!(difference(&a, &a, 0.0), None);
        let b = tensor(&[1.0, f32::NAN, f32::INFINITY, 1001.0]);
        assert_eq!(difference(&a, &b, 1e-2), None);
        let message = difference(&a, &b, 1e-4).unwrap();
        assert!(message.starts_with("at [1, 1]: 1000, expected 1001"), "{message}");
        let c = tensor(&[1.0, 0.0, f32::INFINITY, 1000.0]);
        assert!(difference(&a, &c, 1.0).unwrap().starts_with("at [0, 1]: NaN, expected 0"));
        let shape = difference(&a, &a.flatten_all().unwrap(), 1.0).unwrap();
        assert_eq!(shape, "shape [2, 2], expected [4]");
    }
}
