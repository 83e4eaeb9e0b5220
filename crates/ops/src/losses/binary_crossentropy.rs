//! Crossentropy of a single probability p and target t: `-t ln(p) - (1 - t) ln(1 - p)`.

use super::{EPSILON, Pointwise};
use crate::number::{Mask, Number};

/// From probabilities, kept in `EPSILON..1 - EPSILON`; beyond them the slope is 0, as in Keras.
#[derive(Clone, Copy, Debug)]
pub struct BinaryCrossentropy;

impl Pointwise for BinaryCrossentropy {
    const NAME: &'static str = "binary_crossentropy";

    #[inline(always)]
    fn value<N: Number>(self, x: N, t: N) -> N {
        let p = x.max(EPSILON).min(1.0 - EPSILON);
        -(t * p.ln() + (-t + 1.0) * (-p + 1.0).ln())
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N, t: N) -> N {
        let p = x.max(EPSILON).min(1.0 - EPSILON);
        let slope = (p - t) / (p * (-p + 1.0));
        x.lt(EPSILON).select(0.0, x.gt(1.0 - EPSILON).select(0.0, slope))
    }
}

/// From logits z, stable for any of them: with `p = sigmoid(z)` it is
/// `max(z, 0) - z t + ln(1 + e^(-|z|))`, with slope `p - t`.
#[derive(Clone, Copy, Debug)]
pub struct LogitBinaryCrossentropy;

impl Pointwise for LogitBinaryCrossentropy {
    const NAME: &'static str = "binary_crossentropy";

    #[inline(always)]
    fn value<N: Number>(self, x: N, t: N) -> N {
        x.max(0.0) - x * t + (-x.abs()).exp().ln_1p()
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N, t: N) -> N {
        x.sigmoid() - t
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::losses::mean_loss;
    use candle_core::{DType, Device, Tensor, Var};

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

    #[test]
    fn beyond_the_limits_the_slope_is_0() {
        let t = Tensor::new(&[[0.25], [0.25], [0.25], [0.25], [1.0]], &Device::Cpu).unwrap();
        for dtype in [DType::F32, DType::F64] {
            let _tape = sconce_core::Tape::current_or_new();
            let p = [[0.0], [1.0], [1e-8], [f64::NAN], [0.5]];
            let p = Tensor::new(&p, &Device::Cpu).unwrap().to_dtype(dtype).unwrap();
            let p = Var::from_tensor(&p).unwrap();
            let loss = mean_loss(BinaryCrossentropy, &t, &p).unwrap().sum_all().unwrap();
            let g = sconce_core::gradients(&loss, &[&p]).unwrap().remove(0).unwrap();
            let g =
                g.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
            assert_eq!(g[..3], [0.0, 0.0, 0.0], "{dtype:?}");
            assert!(g[3].is_nan() && g[4] == -2.0, "{dtype:?}: {g:?}");
        }
    }
}
