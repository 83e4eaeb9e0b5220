//! Zeros at the ends of axes, in one pass.

use crate::op::{Input, Kernel, Operation, Values, is_cpu_f32, one};
use candle_core::{DType, Device, Result, Shape, Tensor, bail};
use sconce_core::tape::Pass;
use sconce_kernels::{build_rows, with_slice};

/// x with zeros before and after its values on the axes from `first` on. Differentiable.
pub fn zero_padding(x: &Tensor, first: usize, padding: &[[usize; 2]]) -> Result<Tensor> {
    if padding.iter().all(|ends| *ends == [0, 0]) {
        return Ok(x.clone());
    }
    if first + padding.len() > x.rank() || padding.is_empty() {
        bail!("zero padding: {} axes from {first} on of {:?}", padding.len(), x.dims())
    }
    ZeroPadding { first, padding: padding.to_vec() }.apply(&[x])
}

/// The operation.
#[derive(Clone)]
struct ZeroPadding {
    first: usize,
    padding: Vec<[usize; 2]>,
}

/// The rows of a padded tensor: its last padded axis and those after it.
struct Rows {
    shape: Shape,
    /// Of the axes before, from the last: length, zeros before, length without zeros.
    outer: Vec<[usize; 3]>,
    /// Values in a row, of those before the first of x, and of a row of x.
    padded: usize,
    before: usize,
    own: usize,
}

impl Rows {
    /// Where the row of x begins that lies in a padded one, if it is not all zeros.
    fn source(&self, row: usize) -> Option<usize> {
        let (mut left, mut source, mut stride) = (row, 0, 1);
        for [len, before, own] in &self.outer {
            let place = (left % len).checked_sub(*before).filter(|place| place < own)?;
            source += place * stride;
            left /= len;
            stride *= own;
        }
        // What is left counts the axes that are not padded.
        Some((source + left * stride) * self.own)
    }
}

impl ZeroPadding {
    fn rows(&self, dims: &[usize]) -> Result<Rows> {
        let mut padded = dims.to_vec();
        for (axis, [before, after]) in self.padding.iter().enumerate() {
            let len = &mut padded[self.first + axis];
            let sum = len.checked_add(*before).and_then(|sum| sum.checked_add(*after));
            let Some(sum) = sum else { bail!("zero padding: {before} and {after} are too many") };
            *len = sum;
        }
        // In bytes, of which no allocation can have more.
        let total = padded.iter().try_fold(4isize, |product, len| {
            isize::try_from(*len).ok().and_then(|len| product.checked_mul(len))
        });
        if total.is_none() {
            bail!("zero padding: a result of shape {padded:?} is too large")
        }
        let last = self.first + self.padding.len() - 1;
        let inner: usize = dims[last + 1..].iter().product();
        let outer = (self.first..last).rev();
        let outer =
            outer.map(|axis| [padded[axis], self.padding[axis - self.first][0], dims[axis]]);
        Ok(Rows {
            outer: outer.collect(),
            padded: padded[last] * inner,
            before: self.padding[last - self.first][0] * inner,
            own: dims[last] * inner,
            shape: Shape::from(padded),
        })
    }
}

impl Operation for ZeroPadding {
    type Saved = ();

    fn name(&self) -> &'static str {
        "zero_padding"
    }

    fn forward(&self, inputs: &[&Tensor]) -> Result<(Vec<Tensor>, ())> {
        let mut y = inputs[0].clone();
        for (axis, [before, after]) in self.padding.iter().enumerate() {
            y = y.pad_with_zeros(self.first + axis, *before, *after)?;
        }
        one(y.contiguous())
    }

    fn backward(&self, _saved: (), pass: &mut Pass<'_>) -> Result<()> {
        let mut dx = pass.dy()?.clone();
        for (axis, [before, _]) in self.padding.iter().enumerate() {
            dx = dx.narrow(self.first + axis, *before, pass.input(0).dim(self.first + axis)?)?;
        }
        pass.give(0, dx.contiguous()?)
    }

    fn kernel(&self, device: &Device, dtype: DType) -> Option<&dyn Kernel<()>> {
        is_cpu_f32(device, dtype).then_some(self as &dyn Kernel<()>)
    }
}

impl Kernel<()> for ZeroPadding {
    fn forward(&self, inputs: &[Input<'_>]) -> Result<(Vec<Values>, ())> {
        let x = inputs[0];
        let rows = self.rows(x.dims)?;
        let y = build_rows(rows.shape.elem_count(), rows.padded, |first, y| {
            for (row, y) in y.chunks_exact_mut(rows.padded).enumerate() {
                if let Some(from) = rows.source(first + row) {
                    y[rows.before..][..rows.own].copy_from_slice(&x.data[from..][..rows.own]);
                }
            }
        });
        Ok((vec![(y, rows.shape)], ()))
    }

    fn backward(&self, _saved: (), pass: &mut Pass<'_>) -> Result<()> {
        let rows = self.rows(pass.input(0).dims())?;
        let dy = pass.dy()?.clone();
        pass.write(0, |dx, accumulate| {
            with_slice(&dy, |dy| {
                for (row, dy) in dy.chunks_exact(rows.padded.max(1)).enumerate() {
                    let Some(from) = rows.source(row) else { continue };
                    let (dx, dy) = (&mut dx[from..][..rows.own], &dy[rows.before..][..rows.own]);
                    match accumulate {
                        true => dx.iter_mut().zip(dy).for_each(|(dx, dy)| *dx += dy),
                        false => dx.copy_from_slice(dy),
                    }
                }
                Ok(())
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gradient_check::{check_operation, sample};

    #[test]
    fn gradients_and_forms_agree() {
        for (dims, first, padding) in [
            (vec![2, 3, 4], 1, vec![[1, 2]]),
            (vec![2, 3, 4, 3], 1, vec![[1, 0], [0, 2]]),
            (vec![2, 2, 3, 4], 2, vec![[2, 1], [1, 1]]),
            (vec![2, 2, 1, 3, 2], 1, vec![[0, 1], [1, 0], [2, 3]]),
            (vec![3], 0, vec![[1, 1]]),
        ] {
            let make = || ZeroPadding { first, padding: padding.clone() };
            check_operation(make, &[sample("x", &dims).unwrap()]).unwrap();
        }
    }

    #[test]
    fn empty_tensors_large_ones_and_misfits() {
        let zeros = |dims: &[usize]| Tensor::zeros(dims, DType::F32, &Device::Cpu).unwrap();
        assert_eq!(zero_padding(&zeros(&[0, 3]), 1, &[[1, 1]]).unwrap().dims(), [0, 5]);
        assert_eq!(zero_padding(&zeros(&[2, 0]), 1, &[[1, 1]]).unwrap().dims(), [2, 2]);
        assert_eq!(zero_padding(&zeros(&[2, 3]), 1, &[[0, 0]]).unwrap().dims(), [2, 3]);
        let large = sample("x", &[3, 200, 200, 2]).unwrap().to_dtype(DType::F32).unwrap();
        let padding = vec![[1, 2], [3, 0]];
        let composed = ZeroPadding { first: 1, padding: padding.clone() };
        let composed = composed.apply_composed(&[&large]).unwrap();
        let same = zero_padding(&large, 1, &padding).unwrap().eq(&composed).unwrap();
        assert_eq!(same.min_all().unwrap().to_scalar::<u8>().unwrap(), 1);
        for padding in [vec![[1, 1], [1, 1]], vec![[usize::MAX, 1]], vec![[usize::MAX / 8, 0]]] {
            assert!(zero_padding(&zeros(&[2, 3]), 1, &padding).is_err());
        }
    }
}
