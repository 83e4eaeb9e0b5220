//! Longer axes: each value several times, or values in between.

use crate::op::{Input, Kernel, Operation, Values, is_cpu_f32, one};
use candle_core::{DType, Device, Result, Shape, Tensor};
use sconce_core::ConfigValue;
use sconce_core::tape::Pass;
use sconce_kernels::{for_parts, with_slice};
use std::f64::consts::PI;

/// How values between those of an image are found, by Keras's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ConfigValue)]
pub enum Interpolation {
    /// The nearest value.
    #[default]
    Nearest,
    /// On a line between two values.
    Bilinear,
    /// On a cubic curve through four values (Keys, 1981, with a = -1/2).
    Bicubic,
    /// Lanczos's window over six values.
    Lanczos3,
    /// Lanczos's window over ten values.
    Lanczos5,
}

impl Interpolation {
    /// The weight of a value at a distance.
    fn weight(self, distance: f64) -> f64 {
        let lanczos = |radius: f64| {
            let x = distance;
            match x {
                x if x > radius => 0.0,
                x if x > 1e-3 => {
                    radius * (PI * x).sin() * (PI * x / radius).sin() / (PI * x).powi(2)
                }
                _ => 1.0,
            }
        };
        match self {
            Self::Nearest => f64::from(distance <= 0.5),
            Self::Bilinear => (1.0 - distance).max(0.0),
            Self::Bicubic => match distance {
                x if x >= 2.0 => 0.0,
                x if x >= 1.0 => ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0,
                x => (1.5 * x - 2.5) * x * x + 1.0,
            },
            Self::Lanczos3 => lanczos(3.0),
            Self::Lanczos5 => lanczos(5.0),
        }
    }

    /// The matrix `[from, to]` that an axis is multiplied with. Source: `jax.image.resize` without
    /// antialiasing, whose pixels are squares with centres at 1/2.
    fn matrix(self, from: usize, to: usize) -> Vec<f64> {
        let mut matrix = vec![0.0; from * to];
        for column in 0..to {
            let place = (column as f64 + 0.5) * from as f64 / to as f64 - 0.5;
            let weights: Vec<f64> =
                (0..from).map(|row| self.weight((place - row as f64).abs())).collect();
            let total: f64 = weights.iter().sum();
            let inside = (-0.5..=from as f64 - 0.5).contains(&place);
            if inside && total.abs() > 1000.0 * f64::from(f32::EPSILON) {
                for (row, weight) in weights.iter().enumerate() {
                    if let Some(place) = matrix.get_mut(row * to + column) {
                        *place = weight / total;
                    }
                }
            }
        }
        matrix
    }
}

/// An axis in another length, with values in between. Differentiable.
pub fn resize(x: &Tensor, axis: usize, to: usize, interpolation: Interpolation) -> Result<Tensor> {
    let matrix = interpolation.matrix(x.dim(axis)?, to);
    let matrix = Tensor::from_vec(matrix, (x.dim(axis)?, to), x.device())?.to_dtype(x.dtype())?;
    let last = x.rank() - 1;
    let rows = x.transpose(axis, last)?.contiguous()?;
    let linear: std::sync::Arc<dyn crate::Activation> =
        std::sync::Arc::new(crate::activations::Linear {});
    let y = crate::dense(&rows, &matrix, None, &linear)?;
    y.transpose(axis, last)?.contiguous()
}

/// Each place of an axis several times, one after another. Differentiable.
pub fn repeat(x: &Tensor, axis: usize, times: usize) -> Result<Tensor> {
    if times == 1 {
        return Ok(x.clone());
    }
    let (before, after) = x.dims().split_at(axis);
    let (len, inner) = (x.dim(axis)?, after.iter().skip(1).product::<usize>());
    let mut dims = before.to_vec();
    dims.push(len * times);
    dims.extend(after.iter().skip(1));
    Repeat { times, inner, dims }.apply(&[x])
}

/// The operation.
struct Repeat {
    times: usize,
    /// Values of a place of the axis.
    inner: usize,
    /// The shape of the result.
    dims: Vec<usize>,
}

impl Operation for Repeat {
    type Saved = ();

    fn name(&self) -> &'static str {
        "repeat"
    }

    fn forward(&self, inputs: &[&Tensor]) -> Result<(Vec<Tensor>, ())> {
        let x = inputs[0];
        let places = x.elem_count() / self.inner.max(1);
        let each = x.reshape((places, 1, self.inner))?;
        let all = each.broadcast_as((places, self.times, self.inner))?.contiguous()?;
        one(all.reshape(self.dims.as_slice()))
    }

    fn backward(&self, _saved: (), pass: &mut Pass<'_>) -> Result<()> {
        let places = pass.input(0).elem_count() / self.inner.max(1);
        let dy = pass.dy()?.reshape((places, self.times, self.inner))?;
        pass.give(0, dy.sum(1)?.reshape(pass.input(0).shape())?)
    }

    fn kernel(&self, device: &Device, dtype: DType) -> Option<&dyn Kernel<()>> {
        is_cpu_f32(device, dtype).then_some(self as &dyn Kernel<()>)
    }
}

impl Kernel<()> for Repeat {
    fn forward(&self, inputs: &[Input<'_>]) -> Result<(Vec<Values>, ())> {
        let x = inputs[0].data;
        let mut y = vec![0.0; x.len() * self.times];
        let (inner, place) = (self.inner.max(1), self.inner.max(1) * self.times);
        let part = (sconce_kernels::CHUNK / place).max(1) * place;
        for_parts(&mut y, part, |start, y| {
            let x = &x[start / self.times..];
            for (y, x) in y.chunks_exact_mut(place).zip(x.chunks_exact(inner)) {
                y.chunks_exact_mut(inner).for_each(|y| y.copy_from_slice(x));
            }
        });
        Ok((vec![(y, Shape::from(self.dims.as_slice()))], ()))
    }

    fn backward(&self, _saved: (), pass: &mut Pass<'_>) -> Result<()> {
        let mut dx = vec![0.0; pass.input(0).elem_count()];
        let (inner, place) = (self.inner.max(1), self.inner.max(1) * self.times);
        let part = (sconce_kernels::CHUNK / place).max(1) * inner;
        with_slice(pass.dy()?, |dy| {
            for_parts(&mut dx, part, |start, dx| {
                let dy = &dy[start * self.times..];
                for (dx, dy) in dx.chunks_exact_mut(inner).zip(dy.chunks_exact(place)) {
                    for dy in dy.chunks_exact(inner) {
                        dx.iter_mut().zip(dy).for_each(|(dx, dy)| *dx += dy);
                    }
                }
            });
            Ok(())
        })?;
        pass.give(0, Tensor::from_vec(dx, pass.input(0).shape(), &Device::Cpu)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gradient_check::{check, check_forms, sample};

    #[test]
    fn repeated_values_are_differentiated() {
        for (dims, axis, times) in
            [(vec![2, 3, 2], 1, 3), (vec![2, 3], 1, 2), (vec![4], 0, 5), (vec![2, 0, 3], 1, 2)]
        {
            let x = [sample("x", &dims).unwrap()];
            let run = |x: &Tensor, fuse: bool| {
                let inner = dims[axis + 1..].iter().product();
                let mut to = dims.clone();
                to[axis] *= times;
                let operation = Repeat { times, inner, dims: to };
                if fuse { operation.apply(&[x]) } else { operation.apply_composed(&[x]) }
            };
            check(|x| run(x[0], false), &x, 1e-6).unwrap();
            check_forms(|x| run(x[0], true), |x| run(x[0], false), &x).unwrap();
        }
        let long = sample("x", &[5, sconce_kernels::CHUNK / 3, 2]).unwrap();
        let long = long.to_dtype(DType::F32).unwrap();
        let y = repeat(&long, 1, 4).unwrap();
        let every = y.reshape((5, sconce_kernels::CHUNK / 3, 4, 2)).unwrap();
        for time in 0..4 {
            let y = every.narrow(2, time, 1).unwrap().squeeze(2).unwrap();
            let same = y.eq(&long).unwrap().min_all().unwrap().to_scalar::<u8>().unwrap();
            assert_eq!(same, 1);
        }
    }

    #[test]
    fn values_in_between_are_differentiated() {
        for interpolation in
            [Interpolation::Bilinear, Interpolation::Bicubic, Interpolation::Lanczos3]
        {
            let x = [sample("x", &[2, 3, 2]).unwrap()];
            check(|x| resize(x[0], 1, 6, interpolation), &x, 1e-6).unwrap();
        }
    }

    /// Constants stay, whatever the interpolation.
    #[test]
    fn the_weights_of_a_value_add_up_to_one() {
        for interpolation in [
            Interpolation::Nearest,
            Interpolation::Bilinear,
            Interpolation::Bicubic,
            Interpolation::Lanczos3,
            Interpolation::Lanczos5,
        ] {
            for (from, to) in [(1, 3), (4, 8), (5, 15)] {
                let matrix = interpolation.matrix(from, to);
                for column in 0..to {
                    let sum: f64 = (0..from).map(|row| matrix[row * to + column]).sum();
                    assert!((sum - 1.0).abs() < 1e-12, "{interpolation:?} {from} {to}");
                }
            }
        }
    }
}
