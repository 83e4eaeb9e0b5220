//! CPU building blocks of the fused forms: vectorised loops, products, and threads.
//!
//! Every loop is cut into parts by its length alone, never by the number of threads, so results have
//! the same bits on any machine.

pub mod gemm;
mod map;
pub mod math;
mod pool;
pub mod threads;

pub use gemm::{Matrix, product};
pub use map::{map, map2, map3};
pub use threads::{CHUNK, for_chunks, for_parts, for_rows, parallel};

use candle_core::{CpuStorage, DType, InplaceOp1, Layout, Result, Tensor};
use std::cell::RefCell;

/// Runs a loop compiled for the widest vectors this CPU has.
#[inline(always)]
pub fn vectorized<R>(body: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(body)
}

/// The sum of `f(i)` over a range, in 16 lanes that vectorise, whose order is fixed.
#[inline(always)]
pub fn lane_sum(len: usize, f: impl Fn(usize) -> f32) -> f32 {
    if len < 16 {
        return (0..len).map(f).sum();
    }
    let mut lanes = [0f32; 16];
    let whole = len - len % 16;
    for start in (0..whole).step_by(16) {
        for (lane, sum) in lanes.iter_mut().enumerate() {
            *sum += f(start + lane);
        }
    }
    for i in whole..len {
        lanes[i % 16] += f(i);
    }
    for width in [8, 4, 2, 1] {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
    }
    lanes[0]
}

/// The largest of some values in 16 lanes that vectorise; not-a-numbers do not count.
#[inline(always)]
pub fn lane_max(values: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let mut lanes = [f32::NEG_INFINITY; 16];
    let (whole, rest) = values.as_chunks::<16>();
    for chunk in whole {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = larger(*lane, *value);
        }
    }
    let rest = rest.iter().copied().fold(f32::NEG_INFINITY, larger);
    if whole.is_empty() {
        return rest;
    }
    for width in [8, 4, 2, 1] {
        for lane in 0..width {
            lanes[lane] = larger(lanes[lane], lanes[lane + width]);
        }
    }
    larger(lanes[0], rest)
}

type Write<'a> = dyn FnMut(&mut [f32]) -> Result<()> + 'a;

/// Gives a kernel the values of a tensor to change in place (optimizer updates, gradient buffers).
struct InPlace<'a>(RefCell<&'a mut Write<'a>>);

impl InplaceOp1 for InPlace<'_> {
    fn name(&self) -> &'static str {
        "in_place"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let CpuStorage::F32(values) = storage else {
            candle_core::bail!("an in-place kernel was given {:?}", DType::F32)
        };
        let slice = layout.contiguous_offsets().and_then(|(a, b)| values.get_mut(a..b));
        match slice {
            Some(slice) => (self.0.borrow_mut())(slice),
            None => {
                candle_core::bail!("an in-place kernel was given a tensor that is not contiguous")
            }
        }
    }
}

/// Calls `write` with the values of a contiguous f32 tensor on the CPU, to change them in place.
/// Tensors that share the storage see the new values.
pub fn with_slice_mut(
    tensor: &Tensor,
    mut write: impl FnMut(&mut [f32]) -> Result<()>,
) -> Result<()> {
    tensor.inplace_op1(&InPlace(RefCell::new(&mut write)))
}
