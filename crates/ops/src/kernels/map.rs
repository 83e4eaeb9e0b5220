//! New vectors made in one pass over slices: nothing is copied first or written twice.

use super::{for_chunks, vectorized};

/// `f([inputs[0][i], inputs[1][i], ..])` for every `i`, up to the shortest input. `f` must be
/// `#[inline(always)]` plain arithmetic that vectorises.
#[inline(always)]
pub fn map<const N: usize>(inputs: [&[f32]; N], f: impl Fn([f32; N]) -> f32 + Sync) -> Vec<f32> {
    let len = inputs.iter().map(|input| input.len()).min().unwrap_or(0);
    let mut out = Vec::with_capacity(len);
    for_chunks([&mut out.spare_capacity_mut()[..len]], |start, [out]| {
        let inputs = inputs.map(|input| &input[start..start + out.len()]);
        vectorized(
            #[inline(always)]
            || {
                for (i, slot) in out.iter_mut().enumerate() {
                    slot.write(f(std::array::from_fn(
                        #[inline(always)]
                        |k| inputs[k][i],
                    )));
                }
            },
        );
    });
    // SAFETY: the chunks cover the first `len` slots of the capacity, and each slot was written.
    unsafe { out.set_len(len) };
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::threads::CHUNK;

    #[test]
    fn every_element_is_written() {
        for len in [0, 1, 15, 17, CHUNK, 2 * CHUNK + 3] {
            let x: Vec<f32> = (0..len).map(|i| i as f32).collect();
            let longer: Vec<f32> = (0..len + 2).map(|i| 2.0 * i as f32).collect();
            let y = map([&x, &longer], |[a, b]| a + b);
            assert_eq!(y.len(), len);
            assert!(y.iter().enumerate().all(|(i, v)| *v == 3.0 * i as f32), "{len}");
        }
    }
}
