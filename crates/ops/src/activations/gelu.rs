//! `gelu(x) = x P(X <= x)`, X standard normal.

use super::composed::sigmoid;
use super::{Activation, Elementwise};
use candle_core::{Result, Tensor};
use sconce_core::Config;
use sconce_kernels::math;

/// Gaussian error linear unit ([Hendrycks et al., 2016](https://arxiv.org/abs/1606.08415)).
///
/// ```text
/// f(x) = x (1 + erf(x / sqrt 2)) / 2
/// f(x) = x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2     approximate
/// ```
#[derive(Clone, Copy, Debug, Config)]
#[config(name = "gelu")]
pub struct Gelu {
    /// Whether the tanh formula is used. Default false.
    #[config(default = false)]
    pub approximate: bool,
}

impl Gelu {
    fn with<R>(self, body: impl FnOnce(&dyn Activation) -> R) -> R {
        if self.approximate { body(&Approximate) } else { body(&Exact) }
    }
}

impl Activation for Gelu {
    fn call(&self, x: &Tensor) -> Result<Tensor> {
        self.with(|f| f.call(x))
    }

    fn call_composed(&self, x: &Tensor) -> Result<Tensor> {
        self.with(|f| f.call_composed(x))
    }
}

#[derive(Clone, Copy)]
struct Exact;

impl Elementwise for Exact {
    const NAME: &'static str = "gelu";

    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        x * math::normal(x).0
    }

    #[inline(always)]
    fn slope(self, x: f32, _: f32) -> f32 {
        let (probability, density) = math::normal(x);
        probability + x * density
    }

    fn compose(self, x: &Tensor) -> Result<Tensor> {
        x * probability(x)?
    }

    fn compose_slope(self, x: &Tensor, _: &Tensor) -> Result<Tensor> {
        let density = ((x.sqr()? * -0.5)?.exp()? * (1.0 / std::f64::consts::TAU.sqrt()))?;
        probability(x)? + (x * density)?
    }
}

fn probability(x: &Tensor) -> Result<Tensor> {
    (x * std::f64::consts::FRAC_1_SQRT_2)?.erf()?.affine(0.5, 0.5)
}

/// With (1 + tanh(u)) / 2 written as sigmoid(2 u), which keeps its precision for negative x.
#[derive(Clone, Copy)]
struct Approximate;

/// 2 sqrt(2 / pi).
const RATE: f64 = 1.595_769_121_605_730_7;
const CUBIC: f64 = 0.044_715;
/// Beyond this the sigmoid is 0 or 1, even in f64; x^3 must not overflow.
const END: f64 = 50.0;

impl Approximate {
    /// 2 u and its slope.
    #[inline(always)]
    fn inner(x: f32) -> (f32, f32) {
        let end = END as f32;
        let x = if x.abs() > end { end.copysign(x) } else { x };
        let square = x * x;
        let cubic = CUBIC as f32;
        (RATE as f32 * (x + cubic * x * square), RATE as f32 * (1.0 + 3.0 * cubic * square))
    }
}

impl Elementwise for Approximate {
    const NAME: &'static str = "gelu";

    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        x * math::sigmoid(Self::inner(x).0)
    }

    #[inline(always)]
    fn slope(self, x: f32, _: f32) -> f32 {
        let (u, rate) = Self::inner(x);
        let e = math::exp(-u.abs());
        let large = 1.0 / (1.0 + e);
        let small = e * large;
        let s = if x >= 0.0 { large } else { small };
        s + x * (large * small) * rate
    }

    fn compose(self, x: &Tensor) -> Result<Tensor> {
        let z = x.maximum(-END)?.minimum(END)?;
        let u = ((&z * z.sqr()?.affine(CUBIC, 1.0)?)? * RATE)?;
        x * sigmoid(&u)?
    }

    fn compose_slope(self, x: &Tensor, _: &Tensor) -> Result<Tensor> {
        let z = x.maximum(-END)?.minimum(END)?;
        let u = ((&z * z.sqr()?.affine(CUBIC, 1.0)?)? * RATE)?;
        let rate = z.sqr()?.affine(3.0 * CUBIC * RATE, RATE)?;
        let s = sigmoid(&u)?;
        let product = (&s * sigmoid(&u.neg()?)?)?;
        s + ((x * product)? * rate)?
    }
}
