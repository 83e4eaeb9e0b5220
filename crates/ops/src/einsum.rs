//! Sums of products of tensors whose axes are named: `einsum`.

use crate::activations::{Activation, Linear};
use crate::{batched_matmul, dense, reshape};
use candle_core::{Result, Tensor, bail};
use std::sync::Arc;

/// A tensor and the names of its axes.
#[derive(Clone)]
struct Operand {
    tensor: Tensor,
    axes: Vec<u32>,
}

/// The sum of the products of `operands` over every name that `output` does not have, with the axes of
/// the result in the order of `output`. Each operand names each of its axes once; an axis of length 1
/// is stretched where the name is longer elsewhere. Operands are multiplied from the left, two at a
/// time, as batches of matrices.
///
/// # Errors
/// If the names do not fit the shapes, or `output` names an axis that no operand has.
pub fn einsum(operands: &[(&Tensor, &[u32])], output: &[u32]) -> Result<Tensor> {
    let lengths = lengths(operands)?;
    let mut rest = operands
        .iter()
        .map(|(tensor, axes)| Operand { tensor: (*tensor).clone(), axes: axes.to_vec() });
    let Some(first) = rest.next() else { bail!("einsum: no operand") };
    let mut so_far = squeezed(first)?;
    let mut rest: Vec<Operand> = rest.map(squeezed).collect::<Result<_>>()?;
    rest.reverse();
    while let Some(next) = rest.pop() {
        let kept = |axis: &u32| {
            output.contains(axis) || rest.iter().any(|operand| operand.axes.contains(axis))
        };
        so_far = product(so_far, next, &kept)?;
    }
    let so_far = summed(so_far, &|axis| output.contains(axis))?;
    // Names of length 1 everywhere are left out above.
    let present: Vec<u32> =
        output.iter().copied().filter(|axis| so_far.axes.contains(axis)).collect();
    let y = permuted(&so_far, &present)?;
    let length = |axis: &u32| match lengths.iter().find(|(name, _)| name == axis) {
        Some((_, length)) => Ok(*length),
        None => bail!("einsum: the result has an axis that no operand has"),
    };
    reshape(&y, output.iter().map(length).collect::<Result<Vec<_>>>()?)
}

/// The length of every name.
fn lengths(operands: &[(&Tensor, &[u32])]) -> Result<Vec<(u32, usize)>> {
    let mut lengths: Vec<(u32, usize)> = Vec::new();
    for (tensor, axes) in operands {
        if tensor.rank() != axes.len() {
            bail!("einsum: an operand of {} axes has {} names", tensor.rank(), axes.len())
        }
        for (axis, length) in axes.iter().zip(tensor.dims()) {
            match lengths.iter_mut().find(|(name, _)| name == axis) {
                None => lengths.push((*axis, *length)),
                Some((_, known)) if *known == 1 => *known = *length,
                Some((_, known)) if *known == *length || *length == 1 => {}
                Some((_, known)) => {
                    bail!("einsum: an axis has the lengths {known} and {length}")
                }
            }
        }
    }
    Ok(lengths)
}

/// Without axes of length 1, which stand for themselves or are stretched.
fn squeezed(operand: Operand) -> Result<Operand> {
    let kept = |(_, length): &(u32, usize)| *length != 1;
    let named = operand.axes.iter().copied().zip(operand.tensor.dims().iter().copied());
    let (axes, dims): (Vec<u32>, Vec<usize>) = named.filter(kept).unzip();
    Ok(Operand { tensor: reshape(&operand.tensor, dims)?, axes })
}

/// Summed over the names that are not kept.
fn summed(operand: Operand, kept: &dyn Fn(&u32) -> bool) -> Result<Operand> {
    let positions = operand.axes.iter().enumerate();
    let gone: Vec<usize> = positions.filter(|(_, axis)| !kept(axis)).map(|(i, _)| i).collect();
    if gone.is_empty() {
        return Ok(operand);
    }
    let axes = operand.axes.iter().copied().filter(|axis| kept(axis)).collect();
    Ok(Operand { tensor: operand.tensor.sum(gone.as_slice())?, axes })
}

fn permuted(operand: &Operand, to: &[u32]) -> Result<Tensor> {
    if operand.axes == to {
        return Ok(operand.tensor.clone());
    }
    let place = |axis: &u32| operand.axes.iter().position(|other| other == axis);
    match to.iter().map(place).collect::<Option<Vec<usize>>>() {
        Some(order) if order.len() == operand.axes.len() => {
            operand.tensor.permute(order)?.contiguous()
        }
        _ => bail!("einsum: an operand names an axis twice"),
    }
}

/// The product of two, summed over the names that are not kept.
fn product(a: Operand, b: Operand, kept: &dyn Fn(&u32) -> bool) -> Result<Operand> {
    let a = {
        let in_b = b.axes.clone();
        summed(a, &|axis| kept(axis) || in_b.contains(axis))?
    };
    let b = {
        let in_a = a.axes.clone();
        summed(b, &|axis| kept(axis) || in_a.contains(axis))?
    };
    let names = |operand: &Operand, wanted: &dyn Fn(&u32) -> bool| -> Vec<u32> {
        operand.axes.iter().copied().filter(|axis| wanted(axis)).collect()
    };
    let shared = names(&a, &|axis| b.axes.contains(axis) && kept(axis));
    let inner = names(&a, &|axis| b.axes.contains(axis) && !kept(axis));
    let rows = names(&a, &|axis| !b.axes.contains(axis));
    let columns = names(&b, &|axis| !a.axes.contains(axis));
    let left = permuted(&a, &[&shared[..], &rows, &inner].concat())?;
    let right = permuted(&b, &[&shared[..], &inner, &columns].concat())?;
    let dims = |tensor: &Tensor, from: usize, count: usize| tensor.dims()[from..][..count].to_vec();
    let batch = dims(&left, 0, shared.len());
    let row_dims = dims(&left, shared.len(), rows.len());
    let inner_len: usize = dims(&left, shared.len() + rows.len(), inner.len()).iter().product();
    let column_dims = dims(&right, shared.len() + inner.len(), columns.len());
    let (n, m): (usize, usize) = (batch.iter().product(), row_dims.iter().product());
    let k: usize = column_dims.iter().product();
    let y = match shared.is_empty() {
        true => {
            let linear: Arc<dyn Activation> = Arc::new(Linear {});
            let (left, right) = (reshape(&left, (m, inner_len))?, reshape(&right, (inner_len, k))?);
            dense(&left, &right, None, &linear)?
        }
        false => batched_matmul(
            &reshape(&left, (n, m, inner_len))?,
            &reshape(&right, (n, inner_len, k))?,
        )?,
    };
    Ok(Operand {
        tensor: reshape(&y, [batch, row_dims, column_dims].concat())?,
        axes: [shared, rows, columns].concat(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gradient_check::{check, sample};

    #[test]
    fn gradients_are_right() {
        const B: u32 = 0;
        const T: u32 = 1;
        const S: u32 = 2;
        const D: u32 = 3;
        const ONE: u32 = 4;
        let (x, y) = (sample("x", &[2, 3, 4]).unwrap(), sample("y", &[2, 5, 4]).unwrap());
        let z = sample("z", &[1, 5, 1]).unwrap();
        let cases: [(Vec<&[u32]>, &[u32]); 5] = [
            (vec![&[B, T, D], &[B, S, D]], &[B, T, S]),
            (vec![&[B, T, D], &[B, S, D]], &[S, B]),
            (vec![&[B, T, D], &[B, S, D], &[B, S, ONE]], &[ONE, T, B]),
            (vec![&[B, T, D]], &[D, B]),
            (vec![&[B, T, D]], &[]),
        ];
        for (axes, output) in cases {
            let inputs: Vec<Tensor> = [&x, &y, &z].into_iter().take(axes.len()).cloned().collect();
            let f = |x: &[&Tensor]| {
                let operands: Vec<_> = x.iter().copied().zip(axes.iter().copied()).collect();
                einsum(&operands, output)
            };
            check(f, &inputs, 1e-6).unwrap();
        }
    }

    #[test]
    fn names_that_do_not_fit_are_errors() {
        let x = sample("x", &[2, 3]).unwrap();
        let run = |axes: &[u32], output: &[u32]| einsum(&[(&x, axes), (&x, &[0, 1])], output);
        assert!(run(&[0, 1], &[0]).is_ok());
        for (axes, output) in [(&[0][..], &[0][..]), (&[1, 0], &[0]), (&[0, 1], &[7])] {
            assert!(run(axes, output).is_err(), "{axes:?}");
        }
    }
}
