//! Optimizer updates: one pass over weight, gradient and slots, in place.

use crate::kernels::{for_chunks, lane_sum, parallel, threads, vectorized, with_slice_mut};
use crate::op::with_slice;
use candle_core::{DType, Result, Tensor, bail};
use std::sync::atomic::{AtomicU64, Ordering};

/// Whether the in-place kernels serve a weight: f32 on the CPU.
pub fn fuses(weight: &Tensor) -> bool {
    weight.device().is_cpu() && weight.dtype() == DType::F32 && weight.is_contiguous()
}

/// For every element: `(weight, slots) = rule(weight, gradient, slots)`, on all threads for large
/// weights. `rule` is `#[inline(always)]` plain arithmetic that vectorises.
pub fn update<const S: usize>(
    weight: &Tensor,
    gradient: &Tensor,
    slots: [&Tensor; S],
    rule: impl Fn(f32, f32, [f32; S]) -> (f32, [f32; S]) + Sync + Copy,
) -> Result<()> {
    if slots.iter().any(|s| s.dims() != weight.dims()) || gradient.dims() != weight.dims() {
        bail!("an update needs weight, gradient and slots of one shape, {:?}", weight.dims())
    }
    with_slice(gradient, |g| {
        with_slice_mut(weight, |w| {
            with_slices_mut(&slots, Vec::new(), &mut |slots| {
                let mut slots = slots.into_iter();
                let slots: [&mut [f32]; S] =
                    std::array::from_fn(|_| slots.next().unwrap_or_default());
                run(w, g, slots, rule);
                Ok(())
            })
        })
    })
}

fn run<const S: usize>(
    w: &mut [f32],
    g: &[f32],
    slots: [&mut [f32]; S],
    rule: impl Fn(f32, f32, [f32; S]) -> (f32, [f32; S]) + Sync + Copy,
) {
    let len = w.len();
    let w = threads::Shared::new(w);
    let slots = slots.map(threads::Shared::new);
    parallel(len.div_ceil(threads::CHUNK).max(1), |part| {
        let (start, end) = (part * threads::CHUNK, ((part + 1) * threads::CHUNK).min(len));
        // SAFETY: parts take disjoint ranges of each slice, the slices are distinct tensors'
        // storages locked for writing by the caller, and all outlive this call.
        let (w, slots) = unsafe {
            (w.range(start, end), std::array::from_fn::<_, S, _>(|i| slots[i].range(start, end)))
        };
        let g = &g[start..end];
        vectorized(
            #[inline(always)]
            || {
                let n = w.len();
                for i in 0..n {
                    let old = std::array::from_fn(|s| slots[s][i]);
                    let (value, new) = rule(w[i], g[i], old);
                    w[i] = value;
                    for s in 0..S {
                        slots[s][i] = new[s];
                    }
                }
            },
        );
    });
}

type Rest<'f> = dyn FnMut(Vec<&mut [f32]>) -> Result<()> + 'f;

/// Opens several tensors for writing, one inside the other.
fn with_slices_mut(
    tensors: &[&Tensor],
    mut open: Vec<&mut [f32]>,
    then: &mut Rest<'_>,
) -> Result<()> {
    match tensors.split_first() {
        None => then(open),
        Some((first, rest)) => with_slice_mut(first, |slice| {
            let mut open: Vec<&mut [f32]> = open.iter_mut().map(|s| &mut **s).collect();
            open.push(slice);
            with_slices_mut(rest, open, then)
        }),
    }
}

/// `sum(x^2)`, on the CPU in fixed blocks whose order does not depend on threads.
pub fn sum_of_squares(x: &Tensor) -> Result<f64> {
    if !fuses(x) {
        return x.to_dtype(DType::F32)?.sqr()?.sum_all()?.to_scalar::<f32>().map(f64::from);
    }
    with_slice(x, |x| {
        let block = |x: &[f32]| {
            f64::from(vectorized(
                #[inline(always)]
                || lane_sum(x.len(), |i| x[i] * x[i]),
            ))
        };
        if x.len() <= threads::CHUNK {
            return Ok(block(x));
        }
        let parts: Vec<AtomicU64> =
            (0..x.len().div_ceil(threads::CHUNK)).map(|_| AtomicU64::new(0)).collect();
        parallel(parts.len(), |part| {
            let end = ((part + 1) * threads::CHUNK).min(x.len());
            let sum = block(&x[part * threads::CHUNK..end]);
            parts[part].store(sum.to_bits(), Ordering::Relaxed);
        });
        Ok(parts.iter().map(|p| f64::from_bits(p.load(Ordering::Relaxed))).sum())
    })
}

/// Changes every element of an f32 CPU tensor in place.
pub fn map_in_place(x: &Tensor, f: impl Fn(f32) -> f32 + Sync + Copy) -> Result<()> {
    with_slice_mut(x, |x| {
        for_chunks([x], |_, [x]| {
            vectorized(
                #[inline(always)]
                || x.iter_mut().for_each(|v| *v = f(*v)),
            );
        });
        Ok(())
    })
}

/// `to = from`, in place.
pub fn assign(to: &Tensor, from: &Tensor) -> Result<()> {
    if fuses(to) && fuses(from) {
        return update(to, from, [], |_, from, []| (from, []));
    }
    to.flatten_all()?.slice_set(&from.contiguous()?.flatten_all()?, 0, 0)
}

/// `to += from`, in place.
pub fn add_to(to: &Tensor, from: &Tensor) -> Result<()> {
    if fuses(to) && fuses(from) {
        return update(to, from, [], |to, from, []| (to + from, []));
    }
    assign(to, &(to + from)?)
}

/// `x *= factor`, in place.
pub fn scale_in_place(x: &Tensor, factor: f64) -> Result<()> {
    if fuses(x) {
        let factor = factor as f32;
        return map_in_place(x, move |v| v * factor);
    }
    assign(x, &(x * factor)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    #[test]
    fn updates_every_element() {
        for len in [0, 1, 17, 100_003] {
            let w = Var::zeros(len, DType::F32, &Device::Cpu).unwrap();
            let m = Tensor::zeros(len, DType::F32, &Device::Cpu).unwrap();
            let g = Tensor::arange(0f32, len as f32, &Device::Cpu).unwrap();
            for _ in 0..2 {
                update(w.as_tensor(), &g, [&m], |w, g, [m]| (w - m - g, [m + g])).unwrap();
            }
            let w = w.to_vec1::<f32>().unwrap();
            assert!(w.iter().enumerate().all(|(i, v)| *v == -3.0 * i as f32), "{len}");
            let m = m.to_vec1::<f32>().unwrap();
            assert!(m.iter().enumerate().all(|(i, v)| *v == 2.0 * i as f32), "{len}");
        }
    }

    #[test]
    fn shapes_must_match() {
        let w = Var::zeros((2, 3), DType::F32, &Device::Cpu).unwrap();
        let g = Tensor::zeros((3, 2), DType::F32, &Device::Cpu).unwrap();
        assert!(update(w.as_tensor(), &g, [], |w, _, []| (w, [])).is_err());
    }

    #[test]
    fn squares_match_f64() {
        for len in [0usize, 1, 15, 16, 33, 100_000] {
            let values: Vec<f32> = (0..len).map(|i| (i as f32 * 0.37).sin()).collect();
            let exact: f64 = values.iter().map(|v| f64::from(*v).powi(2)).sum();
            let x = Tensor::from_vec(values, len, &Device::Cpu).unwrap();
            assert!((sum_of_squares(&x).unwrap() - exact).abs() <= 1e-5 * exact, "{len}");
        }
    }
}
