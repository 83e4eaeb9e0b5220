//! Dropout: `y = x m / (1 - rate)`, where each `m` is 0 with probability `rate`, else 1.

use crate::op::{Input, Kernel, Operation, Values, is_cpu_f32, one};
use candle_core::{DType, Device, Result, Shape, Tensor};
use sconce_core::Stream;
use sconce_core::tape::Pass;
use sconce_kernels::{for_chunks, map2, vectorized, with_slice};

/// Drops values of `x` with probability `rate`; the mask, of shape `noise` (broadcast to `x`), is a
/// function of `stream` alone.
pub fn dropout(x: &Tensor, rate: f64, noise: &[usize], stream: &Stream) -> Result<Tensor> {
    let mut mask = vec![0.0; noise.iter().product()];
    fill_mask(&mut mask, rate, stream);
    let mask = Tensor::from_vec(mask, noise, x.device())?.to_dtype(x.dtype())?;
    Dropout { mask: mask.broadcast_as(x.shape())?.contiguous()? }.apply(&[x])
}

/// Blocks of the stream in one pass.
const BLOCKS: usize = 16;

/// Fills a mask with 0 (probability `rate`) and `1 / (1 - rate)`. Element i reads word i % 4 of
/// block i / 4 of the stream.
fn fill_mask(mask: &mut [f32], rate: f64, stream: &Stream) {
    let threshold = (rate * 4_294_967_296.0).min(4_294_967_295.0) as u32;
    let keep = if rate < 1.0 { (1.0 / (1.0 - rate)) as f32 } else { 0.0 };
    for_chunks([mask], |start, [mask]| {
        vectorized(
            #[inline(always)]
            || {
                for (index, values) in mask.chunks_mut(4 * BLOCKS).enumerate() {
                    let first = start / 4 + index * BLOCKS;
                    let words = stream.blocks::<BLOCKS>(first as u64);
                    let drawn: [f32; 4 * BLOCKS] = std::array::from_fn(
                        #[inline(always)]
                        |i| if words[i % 4][i / 4] < threshold { 0.0 } else { keep },
                    );
                    values.copy_from_slice(&drawn[..values.len()]);
                }
            },
        );
    });
}

/// The operation, given its scaled mask of the shape of `x`.
pub struct Dropout {
    mask: Tensor,
}

impl Operation for Dropout {
    type Saved = ();

    fn name(&self) -> &'static str {
        "dropout"
    }

    fn forward(&self, inputs: &[&Tensor]) -> Result<(Vec<Tensor>, ())> {
        one(inputs[0] * &self.mask)
    }

    fn backward(&self, _saved: (), pass: &mut Pass<'_>) -> Result<()> {
        let dy = pass.dy()?;
        pass.give(0, (dy * &self.mask)?)
    }

    fn kernel(&self, device: &Device, dtype: DType) -> Option<&dyn Kernel<()>> {
        is_cpu_f32(device, dtype).then_some(self as &dyn Kernel<()>)
    }
}

impl Kernel<()> for Dropout {
    fn forward(&self, inputs: &[Input<'_>]) -> Result<(Vec<Values>, ())> {
        let x = inputs[0];
        let y = with_slice(&self.mask, |mask| {
            Ok(vectorized(
                #[inline(always)]
                || x.data.iter().zip(mask).map(|(x, m)| x * m).collect(),
            ))
        })?;
        Ok((vec![(y, Shape::from(x.dims))], ()))
    }

    fn backward(&self, _saved: (), pass: &mut Pass<'_>) -> Result<()> {
        let dy = pass.dy()?;
        let dx = with_slice(dy, |dy| {
            with_slice(&self.mask, |mask| {
                Ok(map2(
                    dy,
                    mask,
                    #[inline(always)]
                    |dy, m| dy * m,
                ))
            })
        })?;
        pass.give(0, Tensor::from_vec(dx, dy.shape(), dy.device())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gradient_check::{check, sample};
    use candle_core::{DType, Device};

    #[test]
    fn keeps_the_expected_part_and_scales_it() {
        let x = Tensor::ones(100_003, DType::F32, &Device::Cpu).unwrap();
        let y = dropout(&x, 0.3, &[100_003], &Stream::named(1, "d")).unwrap();
        let y = y.to_vec1::<f32>().unwrap();
        let kept = y.iter().filter(|v| **v != 0.0).count() as f64 / 100_003.0;
        assert!((kept - 0.7).abs() < 0.01, "{kept}");
        assert!(y.iter().all(|v| *v == 0.0 || (*v - 1.0 / 0.7).abs() < 1e-6));
    }

    #[test]
    fn gradient_is_the_mask() {
        let mask = Tensor::new(&[[0f64, 2.0, 2.0], [2.0, 0.0, 0.0]], &Device::Cpu).unwrap();
        let x = sample("x", &[2, 3]).unwrap();
        let make = || Dropout { mask: mask.clone() };
        check(|x| make().apply_composed(x), std::slice::from_ref(&x), 1e-6).unwrap();
        let mask = mask.to_dtype(DType::F32).unwrap();
        let x = x.to_dtype(DType::F32).unwrap();
        let fused = Dropout { mask: mask.clone() }.apply(&[&x]).unwrap();
        let composed = Dropout { mask }.apply_composed(&[&x]).unwrap();
        assert_eq!(fused.to_vec2::<f32>().unwrap(), composed.to_vec2::<f32>().unwrap());
    }

    #[test]
    fn ends_of_the_range() {
        let x = Tensor::ones(64, DType::F32, &Device::Cpu).unwrap();
        let all = dropout(&x, 1.0, &[64], &Stream::named(1, "d")).unwrap();
        assert!(all.to_vec1::<f32>().unwrap().iter().all(|v| *v == 0.0));
        let empty = Tensor::zeros(0, DType::F32, &Device::Cpu).unwrap();
        assert_eq!(dropout(&empty, 0.5, &[0], &Stream::named(1, "d")).unwrap().dims(), [0]);
    }
    /// Threads take chunks of the mask; each must go on in the stream where the one before ended.
    #[test]
    fn chunks_of_a_mask_differ() {
        let chunk = sconce_kernels::CHUNK;
        let x = Tensor::ones(3 * chunk + 5, DType::F32, &Device::Cpu).unwrap();
        let mask = |name: &str| {
            let y = dropout(&x, 0.5, &[x.elem_count()], &Stream::named(1, name)).unwrap();
            y.to_vec1::<f32>().unwrap()
        };
        let (whole, other) = (mask("step 0"), mask("step 1"));
        let chunks: Vec<&[f32]> = whole.chunks(chunk).collect();
        for (a, b) in [(0, 1), (0, 2), (1, 2)] {
            let same = chunks[a].iter().zip(chunks[b]).filter(|(a, b)| a == b).count();
            assert!((same as f64 / chunk as f64 - 0.5).abs() < 0.02, "{a} {b}: {same}");
        }
        let same = whole.iter().zip(&other).filter(|(a, b)| a == b).count();
        assert!((same as f64 / whole.len() as f64 - 0.5).abs() < 0.02, "{same}");
        assert_eq!(whole, mask("step 0"));
        // Element i reads word i of the stream.
        let mut stream = Stream::named(1, "step 0");
        let words = (0..whole.len()).map(|_| stream.next_u32());
        assert!(whole.iter().zip(words).all(|(v, word)| (*v == 0.0) == (word < 1 << 31)));
    }
}
