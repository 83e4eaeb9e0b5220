//! Crossentropy of a single probability p and target t: `-t ln(p) - (1 - t) ln(1 - p)`.

use super::{EPSILON, Pointwise};
use candle_core::{Result, Tensor};
use sconce_kernels::math;

const LOW: f32 = EPSILON as f32;
const HIGH: f32 = (1.0 - EPSILON) as f32;

/// From probabilities, kept in `EPSILON..1 - EPSILON`; beyond them the slope is 0, as in Keras.
#[derive(Clone, Copy, Debug)]
pub struct BinaryCrossentropy;

impl Pointwise for BinaryCrossentropy {
    const NAME: &'static str = "binary_crossentropy";

    #[inline(always)]
    fn value(self, x: f32, t: f32) -> f32 {
        let p = x.clamp(LOW, HIGH);
        -(t * math::ln(p) + (1.0 - t) * math::ln(1.0 - p))
    }

    #[inline(always)]
    fn slope(self, x: f32, t: f32) -> f32 {
        let p = x.clamp(LOW, HIGH);
        let slope = (p - t) / (p * (1.0 - p));
        if p == x { slope } else { 0.0 }
    }

    fn compose(self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        let p = x.clamp(EPSILON, 1.0 - EPSILON)?;
        let rest = t.affine(-1.0, 1.0)?;
        ((t * p.log()?)? + (rest * p.affine(-1.0, 1.0)?.log()?)?)?.neg()
    }

    fn compose_slope(self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        let p = x.clamp(EPSILON, 1.0 - EPSILON)?;
        let inside = p.eq(x)?.to_dtype(x.dtype())?;
        (((&p - t)? / (&p * p.affine(-1.0, 1.0)?)?)? * inside)?.contiguous()
    }
}

/// From logits z, stable for any of them: with `p = sigmoid(z)` it is
/// `max(z, 0) - z t + ln(1 + e^(-|z|))`, with slope `p - t`.
#[derive(Clone, Copy, Debug)]
pub struct LogitBinaryCrossentropy;

impl Pointwise for LogitBinaryCrossentropy {
    const NAME: &'static str = "binary_crossentropy";

    #[inline(always)]
    fn value(self, x: f32, t: f32) -> f32 {
        x.max(0.0) - x * t + math::ln_1p(math::exp(-x.abs()))
    }

    #[inline(always)]
    fn slope(self, x: f32, t: f32) -> f32 {
        math::sigmoid(x) - t
    }

    fn compose(self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        let tail = (x.abs()?.neg()?.exp()? + 1.0)?.log()?;
        ((x.relu()? - (x * t)?)? + tail)?.contiguous()
    }

    fn compose_slope(self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        // 1 / (1 + e^-x) without overflow: e^-|x| on either side.
        let e = x.abs()?.neg()?.exp()?;
        let p = x.ge(0.0)?.where_cond(&e.ones_like()?, &e)?.div(&(e + 1.0)?)?;
        p - t
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::losses::mean_loss;
    use candle_core::{Device, Var};

    #[test]
    fn saturated_logits_keep_loss_and_gradient() {
        let z = Var::new(&[[1000f32], [-1000.0], [-1000.0], [1000.0]], &Device::Cpu).unwrap();
        let t = Tensor::new(&[[0f32], [1.0], [0.0], [1.0]], &Device::Cpu).unwrap();
        let _tape = sconce_core::Tape::current_or_new();
        let loss = mean_loss(LogitBinaryCrossentropy, &t, &z).unwrap();
        assert_eq!(loss.to_vec1::<f32>().unwrap(), [1000.0, 1000.0, 0.0, 0.0]);
        let g = sconce_core::gradients(&loss.sum_all().unwrap(), &[&z]).unwrap().remove(0);
        let g = g.unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(g, [1.0, -1.0, 0.0, 0.0]);
    }

    #[test]
    fn certain_probabilities_stay_finite() {
        let p = Var::new(&[[0f32], [1.0], [0.0], [1.0]], &Device::Cpu).unwrap();
        let t = Tensor::new(&[[1f32], [0.0], [0.0], [1.0]], &Device::Cpu).unwrap();
        let loss = mean_loss(BinaryCrossentropy, &t, &p).unwrap().to_vec1::<f32>().unwrap();
        assert!((loss[0] - 16.118_095).abs() < 1e-4, "{loss:?}");
        // 1 - 1e-7 is 1 - 2^-23 in f32.
        assert!(
            (loss[1] - 15.942_385).abs() < 1e-4 && loss[2] < 2e-7 && loss[3] < 2e-7,
            "{loss:?}"
        );
    }
}
