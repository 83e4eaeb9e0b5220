//! CPU building blocks of the fused forms: vectorised loops, products, and threads.
//!
//! Every loop is cut into parts by its length alone, never by the number of threads, so results have
//! the same bits on any machine.

mod gather;
pub mod gemm;
mod map;
mod mapped_file;
pub mod math;
pub mod normalize;
mod pool;
mod slices;
pub mod threads;
pub mod update;
pub mod windows;

pub use gather::gather_rows;
pub use gemm::{Matrix, product};
pub use map::{map, map2, map3};
pub use mapped_file::MappedFile;
pub use slices::{slice_of, with_labels, with_slice, with_slice_mut};
pub use threads::{CHUNK, for_chunks, for_parts, for_rows, parallel};

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
