//! Dot: products of vectors, sample by sample.

use super::pair;
use crate::normalization::unit_normalization::unit;
use crate::{Call, Layer};
use sconce_core::axes::{Axes, position};
use sconce_core::{Args, Config, Dims, Error, Result, Spec, Tensor};
use sconce_ops::arithmetic::{Operator, arithmetic};
use sconce_ops::reshape;

/// Keras's epsilon of normalized vectors.
const EPSILON: f64 = 1e-7;

/// Multiplies the vectors along an axis of x1 with those along an axis of x2, each with each. x1
/// `[batch, a.., n]` and x2 `[batch, n, b..]` with axes `(-1, 1)` to y `[batch, a.., b..]`, or
/// `[batch, 1]` if nothing is left of either.
#[derive(Clone, Debug, Config)]
#[config(named, no_new)]
pub struct Dot {
    /// The axis of both, or one of each; not that of the batch.
    pub axes: Axes,
    /// Whether vectors are brought to length 1 before: the result is their cosine.
    #[config(default = false)]
    pub normalize: bool,
}

impl Dot {
    /// Along an axis of both inputs (`1`), or along one of each (`[1, 2]`).
    pub fn new(axes: impl Into<Axes>) -> Self {
        Self { axes: axes.into(), normalize: false }
    }

    /// The axes of inputs of these ranks.
    fn positions(&self, ranks: [usize; 2]) -> Result<[usize; 2]> {
        let [a, b] = match self.axes.as_slice() {
            [one] => [*one, *one],
            [a, b] => [*a, *b],
            _ => return Err(Error::config("axes", "must be one axis or two")),
        };
        let positions = [position(a, ranks[0])?, position(b, ranks[1])?];
        if positions.contains(&0) {
            return Err(Error::layer("", "axes: the batch axis is no axis of a product"));
        }
        Ok(positions)
    }
}

/// All but the batch axis and another.
fn rest<T: Copy>(dims: &[T], axis: usize) -> Vec<T> {
    let kept = dims.iter().enumerate().skip(1).filter(|(i, _)| *i != axis);
    kept.map(|(_, len)| *len).collect()
}

impl Layer for Dot {
    fn check(&self) -> Result<()> {
        match self.axes.as_slice() {
            [_] | [_, _] => Ok(()),
            axes => {
                let message = format!("must be one axis or two, found {}", axes.len());
                Err(Error::config("axes", message))
            }
        }
    }

    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let [a, b] = pair(x, "Dot")?;
        let [i, j] = self.positions([a.dims.rank(), b.dims.rank()])?;
        let length = |spec: &Spec, axis: usize| spec.dims.0.get(axis).copied().flatten();
        let differ = |(a, b): (Option<usize>, Option<usize>)| a.zip(b).is_some_and(|(a, b)| a != b);
        if differ((length(a, i), length(b, j))) || differ((length(a, 0), length(b, 0))) {
            let message = format!(
                "inputs of shapes {} and {} cannot be multiplied along the axes {:?}",
                a.dims,
                b.dims,
                self.axes.as_slice()
            );
            return Err(Error::layer("", message));
        }
        let mut dims = vec![length(a, 0).or(length(b, 0))];
        dims.extend(rest(&a.dims.0, i));
        dims.extend(rest(&b.dims.0, j));
        if dims.len() == 1 {
            dims.push(Some(1));
        }
        Ok(vec![a.with_dims(Dims(dims))])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let [a, b] = pair(call.args(), "Dot")?;
        let (mut a, mut b) = (a.tensor.clone(), b.tensor.clone());
        let [i, j] = self.positions([a.rank(), b.rank()])?;
        if self.normalize {
            (a, b) = (unit(&a, &[i], EPSILON)?, unit(&b, &[j], EPSILON)?);
        }
        let (rows, columns) = (rest(a.dims(), i), rest(b.dims(), j));
        let (batch, inner) = (a.dim(0)?, a.dim(i)?);
        if rows.is_empty() && columns.is_empty() {
            let products = arithmetic(Operator::Multiply, &a, &b)?;
            return Ok(vec![products.sum_keepdim(1)?]);
        }
        let order = |rank: usize, axis: usize, at: usize| {
            let mut order: Vec<usize> = (0..rank).filter(|other| *other != axis).collect();
            order.insert(at.min(order.len()), axis);
            order
        };
        let a = a.permute(order(a.rank(), i, a.rank() - 1))?.contiguous()?;
        let b = b.permute(order(b.rank(), j, 1))?.contiguous()?;
        let a = reshape(&a, (batch, rows.iter().product::<usize>(), inner))?;
        let b = reshape(&b, (batch, inner, columns.iter().product::<usize>()))?;
        let dims: Vec<usize> = [batch].into_iter().chain(rows).chain(columns).collect();
        Ok(vec![reshape(&a.matmul(&b)?, dims)?])
    }

    fn supports_masking(&self) -> bool {
        true
    }

    fn mask(&self, _: &Call<'_>, _: &[Tensor]) -> Result<Vec<Option<Tensor>>> {
        Ok(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_must_exist_and_agree() {
        let outputs = |axes: Axes, a: &[usize], b: &[usize]| {
            let specs = [a, b].map(|dims| Spec::float(Dims::batch_of(dims)));
            Dot::new(axes).outputs(&Args::list(specs)).map(|mut out| out.remove(0).dims)
        };
        assert_eq!(outputs([2, 1].into(), &[4, 3], &[3, 5]).unwrap(), Dims::batch_of(&[4, 5]));
        assert_eq!(outputs(1.into(), &[3], &[3]).unwrap(), Dims::batch_of(&[1]));
        for (axes, a, b, message) in [
            (Axes::One(1), &[3][..], &[4][..], "cannot be multiplied along the axes [1]"),
            (Axes::One(0), &[3], &[3], "the batch axis is no axis of a product"),
            (Axes::One(2), &[3], &[3], "axis 2 does not exist"),
            (Axes::from([1, 2, 3]), &[3], &[3], "must be one axis or two"),
        ] {
            let error = outputs(axes, a, b).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}
