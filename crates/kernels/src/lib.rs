//! CPU building blocks of the fused forms: vectorised loops, products, and threads.
//!
//! Every loop is cut into parts by its length alone, never by the number of threads, so results have
//! the same bits on any machine.

#[cfg(feature = "mimalloc")]
pub mod allocator;
pub mod factored;
mod gather;
pub mod gemm;
mod map;
mod mapped_file;
pub mod math;
mod narrow;
pub mod normalize;
mod pool;
mod slices;
pub mod threads;
pub mod update;
pub mod windows;

pub use gather::gather_rows;
pub use gemm::{Matrix, product, product_rows};
pub use map::{build_parts, build_parts_of, build_rows, copy_parts, map, map2, map3, zeros};
pub use mapped_file::MappedFile;
pub use slices::{slice_of, with_labels, with_slice, with_slice_mut, with_slices};
pub use threads::{CHUNK, for_chunks, for_parts, for_parts_of, for_rows, parallel};

/// Runs a loop compiled for the widest vectors this CPU has.
#[inline(always)]
pub fn vectorized<R>(body: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(body)
}

/// The sum of `f([a[i], b[i], ..])` over the places of slices as long as the first, in 16 lanes that
/// vectorise, whose order is fixed.
#[inline(always)]
pub fn lane_sum<const N: usize>(values: [&[f32]; N], f: impl Fn([f32; N]) -> f32) -> f32 {
    let len = values[0].len();
    let values = values.map(|values| &values[..len]);
    if len < 16 {
        return (0..len).map(|i| f(values.map(|values| values[i]))).sum();
    }
    let mut lanes = [0f32; 16];
    let (whole, rest) = (
        values.map(|values| values.as_chunks::<16>().0),
        values.map(|values| values.as_chunks::<16>().1),
    );
    for chunk in 0..len / 16 {
        let chunk = whole.map(|values| &values[chunk]);
        for (lane, sum) in lanes.iter_mut().enumerate() {
            *sum += f(chunk.map(|values| values[lane]));
        }
    }
    for (i, sum) in lanes[..len % 16].iter_mut().enumerate() {
        *sum += f(rest.map(|values| values[i]));
    }
    joined(&lanes, |a, b| a + b)
}

/// [`lane_sum`] in a function of its own, compiled for the widest vectors: in one with more loops the compiler
/// takes the lanes apart.
#[inline(always)]
pub fn row_sum<const N: usize>(values: [&[f32]; N], f: impl Fn([f32; N]) -> f32) -> f32 {
    vectorized(
        #[inline(always)]
        || lane_sum(values, f),
    )
}

/// [`lane_max`] in a function of its own, as [`row_sum`].
#[inline(always)]
pub fn row_max(values: &[f32]) -> f32 {
    vectorized(
        #[inline(always)]
        || lane_max(values),
    )
}

/// The lanes in one, halves first. Not inlined: the compiler would take the loops that fill the lanes apart, to
/// one value at a time.
#[inline(never)]
fn joined(lanes: &[f32; 16], join: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = *lanes;
    for width in [8, 4, 2, 1] {
        for lane in 0..width {
            lanes[lane] = join(lanes[lane], lanes[lane + width]);
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
    larger(joined(&lanes, larger), rest)
}
