//! Optimizer updates: one pass over weight, gradient and slots, in place.

use crate::slices::with_slice;
use crate::threads::{CHUNK, Shared, parallel};
use crate::{lane_sum, vectorized, with_slice_mut};
use candle_core::{DType, Result, Storage, Tensor, bail};
use std::sync::atomic::{AtomicU64, Ordering};

/// Whether the in-place kernels serve a weight: f32 on the CPU.
pub fn fuses(weight: &Tensor) -> bool {
    weight.device().is_cpu() && weight.dtype() == DType::F32 && weight.is_contiguous()
}

/// For every element: `(weight, slots) = rule(weight, gradient, slots)`, on all threads for large
/// weights. `rule` is `#[inline(always)]` plain arithmetic that vectorises. Nothing is allocated
/// unless the gradient is a view that must be copied.
pub fn update<const S: usize>(
    weight: &Tensor,
    gradient: &Tensor,
    slots: [&Tensor; S],
    rule: impl Fn(f32, f32, [f32; S]) -> (f32, [f32; S]) + Sync + Copy,
) -> Result<()> {
    update_rows(weight, gradient, slots, None, rule)
}

/// As [`update`], of some rows (of the first axis, ascending, each once) if they are given.
pub fn update_rows<const S: usize>(
    weight: &Tensor,
    gradient: &Tensor,
    slots: [&Tensor; S],
    rows: Option<&[u32]>,
    rule: impl Fn(f32, f32, [f32; S]) -> (f32, [f32; S]) + Sync + Copy,
) -> Result<()> {
    let count = weight.dims().first().copied().unwrap_or(1);
    if let Some(rows) = rows {
        let ascending = rows.windows(2).all(|pair| pair[0] < pair[1]);
        if !ascending || rows.last().is_some_and(|last| *last as usize >= count) {
            bail!("an update of rows needs each once, ascending, of the {count} there are")
        }
    }
    if slots.iter().any(|s| s.dims() != weight.dims()) || gradient.dims() != weight.dims() {
        bail!("an update needs weight, gradient and slots of one shape, {:?}", weight.dims())
    }
    let places = slots.map(place);
    let apart = |i: usize, at| places.iter().take(i).all(|other| *other != at);
    let (w, g) = (place(weight), place(gradient));
    if w == g || !apart(S, w) || !apart(S, g) || !(0..S).all(|i| apart(i, places[i])) {
        bail!("an update needs weight, gradient and slots that share no storage")
    }
    let copy;
    let gradient = if gradient.is_contiguous() {
        gradient
    } else {
        copy = gradient.contiguous()?;
        &copy
    };
    with_slice(gradient, |g| {
        with_slice_mut(weight, |w| {
            let mut open = std::array::from_fn(|_| Shared::new(&mut []));
            with_slices_mut(&slots, &mut open, 0, &mut |slots| {
                match rows {
                    Some(rows) => run_rows(w, g, slots, (rows, count), rule),
                    None => run(w, g, slots, rule),
                }
                Ok(())
            })
        })
    })
}

/// Where a tensor's values are, to tell storages apart: locking one twice would never return.
fn place(tensor: &Tensor) -> *const Storage {
    &raw const *tensor.storage_and_layout().0
}

fn run<const S: usize>(
    w: &mut [f32],
    g: &[f32],
    slots: &[Shared<f32>; S],
    rule: impl Fn(f32, f32, [f32; S]) -> (f32, [f32; S]) + Sync + Copy,
) {
    let len = w.len();
    let w = Shared::new(w);
    parallel(len.div_ceil(CHUNK), |part| {
        let (start, end) = (part * CHUNK, ((part + 1) * CHUNK).min(len));
        // SAFETY: parts take disjoint ranges of each slice, the slices are distinct tensors'
        // storages locked for writing by the caller, and all outlive this call.
        let (w, slots) = unsafe {
            (w.range(start, end), std::array::from_fn::<_, S, _>(|i| slots[i].range(start, end)))
        };
        vectorized(
            #[inline(always)]
            || each(w, &g[start..end], slots, rule),
        );
    });
}

/// As [`run`], of rows that are in range and ascending, of `count`.
fn run_rows<const S: usize>(
    w: &mut [f32],
    g: &[f32],
    slots: &[Shared<f32>; S],
    (rows, count): (&[u32], usize),
    rule: impl Fn(f32, f32, [f32; S]) -> (f32, [f32; S]) + Sync + Copy,
) {
    let width = w.len() / count.max(1);
    let at_once = (CHUNK / width.max(1)).max(1);
    let w = Shared::new(w);
    parallel(rows.len().div_ceil(at_once), |part| {
        let rows = &rows[part * at_once..rows.len().min((part + 1) * at_once)];
        vectorized(
            #[inline(always)]
            || {
                for row in rows {
                    let (start, end) = (*row as usize * width, (*row as usize + 1) * width);
                    // SAFETY: as in `run`; each row comes once, so ranges are disjoint.
                    let (w, slots) = unsafe {
                        let slots = std::array::from_fn::<_, S, _>(|i| slots[i].range(start, end));
                        (w.range(start, end), slots)
                    };
                    each(w, &g[start..end], slots, rule);
                }
            },
        );
    });
}

#[inline(always)]
fn each<const S: usize>(
    w: &mut [f32],
    g: &[f32],
    slots: [&mut [f32]; S],
    rule: impl Fn(f32, f32, [f32; S]) -> (f32, [f32; S]),
) {
    // Equal lengths that the compiler can see: without them every index is checked and nothing
    // vectorises (13 times slower for two slots).
    let n = w.len();
    let g = &g[..n];
    let slots = slots.map(|s| &mut s[..n]);
    for i in 0..n {
        let old = std::array::from_fn(|s| slots[s][i]);
        let (value, new) = rule(w[i], g[i], old);
        w[i] = value;
        for s in 0..S {
            slots[s][i] = new[s];
        }
    }
}

type Then<'f, const N: usize> = dyn FnMut(&[Shared<f32>; N]) -> Result<()> + 'f;

/// Opens tensors for writing, one inside the other, and calls `then` while all are open.
fn with_slices_mut<const N: usize>(
    tensors: &[&Tensor; N],
    open: &mut [Shared<f32>; N],
    at: usize,
    then: &mut Then<'_, N>,
) -> Result<()> {
    match tensors.get(at) {
        None => then(open),
        Some(tensor) => with_slice_mut(tensor, |slice| {
            open[at] = Shared::new(slice);
            with_slices_mut(tensors, open, at + 1, then)
        }),
    }
}

/// `sum(x^2)`, on the CPU in fixed blocks whose order does not depend on threads. Squares that are too
/// large or too small for f32 are summed in f64 (on the CPU), so the sum of finite values is finite.
pub fn sum_of_squares(x: &Tensor) -> Result<f64> {
    if !x.device().is_cpu() {
        return on_device(x);
    }
    if !fuses(x) {
        return x.to_dtype(DType::F64)?.sqr()?.sum_all()?.to_scalar::<f64>();
    }
    with_slice(x, |x| {
        let block = |x: &[f32]| {
            let sum = f64::from(vectorized(
                #[inline(always)]
                || lane_sum([x], |[x]| x * x),
            ));
            if (1e-30..=1e38).contains(&sum) {
                return sum;
            }
            x.iter().map(|x| f64::from(*x) * f64::from(*x)).sum()
        };
        if x.len() <= CHUNK {
            return Ok(block(x));
        }
        let parts: Vec<AtomicU64> =
            (0..x.len().div_ceil(CHUNK)).map(|_| AtomicU64::new(0)).collect();
        parallel(parts.len(), |part| {
            let end = ((part + 1) * CHUNK).min(x.len());
            let sum = block(&x[part * CHUNK..end]);
            parts[part].store(sum.to_bits(), Ordering::Relaxed);
        });
        Ok(parts.iter().map(|p| f64::from_bits(p.load(Ordering::Relaxed))).sum())
    })
}

/// [`sum_of_squares`] on a device that may not have f64: of the quotients by the largest magnitude,
/// where f32 overflows.
fn on_device(x: &Tensor) -> Result<f64> {
    let sum = |x: &Tensor| x.sqr()?.sum_all()?.to_scalar::<f32>().map(f64::from);
    let x = x.to_dtype(DType::F32)?;
    let plain = sum(&x)?;
    if plain.is_finite() {
        return Ok(plain);
    }
    let top = f64::from(x.abs()?.max_all()?.to_scalar::<f32>()?);
    Ok(sum(&(x / top)?)? * top * top)
}

/// `to = from`, in place.
pub fn assign(to: &Tensor, from: &Tensor) -> Result<()> {
    if fuses(to) && fuses(from) {
        return update(to, from, [], |_, from, []| (from, []));
    }
    to.flatten_all()?.slice_set(&from.contiguous()?.flatten_all()?, 0, 0)
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
    fn some_rows_are_updated() {
        let values = |count: usize| (0..count).map(|i| i as f32).collect::<Vec<_>>();
        for (count, width) in [(7, 3), (2, 1), (1, CHUNK + 1), (1000, 129)] {
            let shape = (count, width);
            let make = || Tensor::from_vec(values(count * width), shape, &Device::Cpu).unwrap();
            let (g, all_g) = (make(), make());
            for rows in [vec![], vec![0], (0..count as u32).step_by(2).collect::<Vec<_>>()] {
                let (w, m) = (make(), make());
                let rule = |w: f32, g: f32, [m]: [f32; 1]| (w - g * 2.0 + m, [m + g]);
                update_rows(&w, &g, [&m], Some(&rows), rule).unwrap();
                let (all_w, all_m) = (make(), make());
                update(&all_w, &all_g, [&all_m], rule).unwrap();
                let flat = |x: &Tensor| x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                for (some, all, before) in [(&w, &all_w, make()), (&m, &all_m, make())] {
                    let (some, all, before) = (flat(some), flat(all), flat(&before));
                    for i in 0..count * width {
                        let right =
                            if rows.contains(&((i / width) as u32)) { all[i] } else { before[i] };
                        assert_eq!(some[i], right, "{count} rows of {width}, {rows:?}");
                    }
                }
            }
            for wrong in [vec![0, 0], vec![1, 0], vec![count as u32]] {
                let (w, rule) = (make(), |w: f32, _: f32, []: [f32; 0]| (w, []));
                let message = update_rows(&w, &g, [], Some(&wrong), rule).unwrap_err().to_string();
                assert!(message.contains("ascending"), "{message}");
            }
        }
    }

    #[test]
    fn shapes_must_match() {
        let w = Var::zeros((2, 3), DType::F32, &Device::Cpu).unwrap();
        let g = Tensor::zeros((3, 2), DType::F32, &Device::Cpu).unwrap();
        assert!(update(w.as_tensor(), &g, [], |w, _, []| (w, [])).is_err());
    }

    #[test]
    fn shared_storage_is_refused() {
        let w = Var::zeros((2, 2), DType::F32, &Device::Cpu).unwrap();
        let (w, view) = (w.as_tensor(), w.t().unwrap());
        let (a, b) = (w.copy().unwrap(), w.copy().unwrap());
        let run = |g, slots| update(w, g, slots, |w, _, slots| (w, slots));
        assert!(run(&a, [&b, &b]).is_err());
        assert!(run(&a, [&a, &b]).is_err());
        assert!(run(&a, [&b, w]).is_err());
        for gradient in [w, &view] {
            let message = run(gradient, [&a, &b]).unwrap_err().to_string();
            assert!(message.contains("share no storage"), "{message}");
        }
    }

    #[test]
    fn a_gradient_may_be_a_view() {
        let w = Var::zeros((2, 3), DType::F32, &Device::Cpu).unwrap();
        let g = Tensor::arange(0f32, 6.0, &Device::Cpu).unwrap().reshape((3, 2)).unwrap();
        update(w.as_tensor(), &g.t().unwrap(), [], |w, g, []| (w + g, [])).unwrap();
        assert_eq!(w.to_vec2::<f32>().unwrap(), [[0.0, 2.0, 4.0], [1.0, 3.0, 5.0]]);
    }

    #[test]
    fn squares_beyond_f32_are_summed() {
        for (value, len) in [(1e30f32, 3), (1e19, 100_000), (1e-30, 7)] {
            for dtype in [DType::F32, DType::F64] {
                let x = Tensor::full(value, len, &Device::Cpu).unwrap().to_dtype(dtype).unwrap();
                let exact = f64::from(value).powi(2) * len as f64;
                assert!((sum_of_squares(&x).unwrap() / exact - 1.0).abs() < 1e-6, "{value} {len}");
            }
        }
        let x = Tensor::new(&[3e30f32, -4e30, 0.0], &Device::Cpu).unwrap();
        assert!((on_device(&x).unwrap() / 2.5e61 - 1.0).abs() < 1e-6);
        let x = Tensor::new(&[1f32, f32::INFINITY], &Device::Cpu).unwrap();
        assert!(!on_device(&x).unwrap().is_finite());
        assert_eq!(sum_of_squares(&x).unwrap(), f64::INFINITY);
        let x = Tensor::new(&[1f32, f32::NAN], &Device::Cpu).unwrap();
        assert!(sum_of_squares(&x).unwrap().is_nan());
        assert_eq!(sum_of_squares(&x.zeros_like().unwrap()).unwrap(), 0.0);
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
