//! Elementary functions of single numbers, each with its slope: what graphs of plain operations are
//! made of beside activations. Slopes at kinks are those of Keras on JAX.

use crate::activations::Elementwise;
use crate::number::{Mask, Number};
use std::f64::consts::{LN_2, LN_10, SQRT_2};

macro_rules! functions {
    ($($(#[$doc:meta])* $name:ident $label:literal |$v:ident| $value:expr, |$x:ident, $y:ident| $slope:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $name;

        impl Elementwise for $name {
            const NAME: &'static str = $label;

            #[inline(always)]
            fn value<N: Number>(self, $v: N) -> N {
                $value
            }

            #[inline(always)]
            fn slope<N: Number>(self, $x: N, $y: N) -> N {
                $slope
            }
        }
    )*};
}

functions! {
    /// `|x|`, of slope 1 at 0, as Keras on JAX.
    Absolute "absolute" |x| x.abs(), |x, _y| x.ge(0.0).select(1.0, -1.0);
    /// `e^x`.
    Exp "exp" |x| x.exp(), |_x, y| y;
    /// `2^x`.
    Exp2 "exp2" |x| (x * LN_2).exp(), |_x, y| y * LN_2;
    /// `e^x - 1`, exact near 0.
    Expm1 "expm1" |x| x.gt(0.0).select(-(((-x).exp_m1()) / ((-x).exp())), x.min(0.0).exp_m1()), |_x, y| y + 1.0;
    /// `ln(x)`.
    Log "log" |x| x.ln(), |x, _y| x.recip();
    /// `ln(1 + x)`, exact near 0.
    Log1p "log1p" |x| log_1p(x), |x, _y| (x + 1.0).recip();
    /// The logarithm to base 2.
    Log2 "log2" |x| x.ln() * LN_2.recip(), |x, _y| (x * LN_2).recip();
    /// The logarithm to base 10.
    Log10 "log10" |x| x.ln() * LN_10.recip(), |x, _y| (x * LN_10).recip();
    /// `sqrt(x)`.
    Sqrt "sqrt" |x| x.sqrt(), |_x, y| (y * 2.0).recip();
    /// `1 / sqrt(x)`.
    Rsqrt "rsqrt" |x| x.sqrt().recip(), |x, y| y / x * -0.5;
    /// `x^2`.
    Square "square" |x| x * x, |x, _y| x * 2.0;
    /// `1 / x`.
    Reciprocal "reciprocal" |x| x.recip(), |_x, y| -(y * y);
    /// `tanh(x)`.
    Tanh "tanh" |x| x.tanh(), |_x, y| -(y * y) + 1.0;
    /// `(e^x - e^-x) / 2`.
    Sinh "sinh" |x| (x.exp() - (-x).exp()) * 0.5, |x, _y| (x.exp() + (-x).exp()) * 0.5;
    /// `(e^x + e^-x) / 2`.
    Cosh "cosh" |x| (x.exp() + (-x).exp()) * 0.5, |x, _y| (x.exp() - (-x).exp()) * 0.5;
    /// `sin(x)`.
    Sin "sin" |x| x.sin(), |x, _y| x.cos();
    /// `cos(x)`.
    Cos "cos" |x| x.cos(), |x, _y| -x.sin();
    /// `tan(x)`.
    Tan "tan" |x| x.sin() / x.cos(), |_x, y| y * y + 1.0;
    /// The error function, `2 P(X <= x sqrt 2) - 1` of a standard normal X.
    Erf "erf" |x| (x * SQRT_2).normal().0 * 2.0 - 1.0, |x, _y| (x * SQRT_2).normal().1 * (2.0 * SQRT_2);
}

/// Kahan's correction of ln(u), u = 1 + x; where u rounds to 1 the result is x.
#[inline(always)]
fn log_1p<N: Number>(x: N) -> N {
    let u = x + 1.0;
    let d = u - 1.0;
    // An infinite x would be infinity / infinity.
    d.eq(0.0).select(x, x.gt(1e30).select(u.ln(), u.ln() * (x / d)))
}

/// `x^exponent` of a constant exponent.
#[derive(Clone, Copy)]
pub struct PowerOf(pub f64);

impl Elementwise for PowerOf {
    const NAME: &'static str = "power";

    #[inline(always)]
    fn value<N: Number>(self, x: N) -> N {
        match self.0 {
            2.0 => x * x,
            exponent => x.powf(exponent),
        }
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N, _y: N) -> N {
        match self.0 {
            0.0 => x * 0.0,
            2.0 => x * 2.0,
            exponent => x.powf(exponent - 1.0) * exponent,
        }
    }
}

/// `x` within `low..=high`: of slope 1 inside and 0 outside; half at a bound, as Keras on JAX.
#[derive(Clone, Copy)]
pub struct Clip {
    /// The lower bound.
    pub low: f64,
    /// The upper bound.
    pub high: f64,
}

impl Elementwise for Clip {
    const NAME: &'static str = "clip";

    #[inline(always)]
    fn value<N: Number>(self, x: N) -> N {
        x.max(self.low).min(self.high)
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N, _y: N) -> N {
        let above = x.gt(self.low).select(1.0, x.eq(self.low).select(0.5, 0.0));
        let below = x.lt(self.high).select(1.0, x.eq(self.high).select(0.5, 0.0));
        above * below
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activations::Map;
    use crate::gradient_check::{check_operation, sample};
    use crate::op::Operation;
    use candle_core::{DType, Device, Tensor, Var};

    #[test]
    fn gradients_and_forms_agree() {
        let any = sample("x", &[3, 5]).unwrap();
        let positive = (any.abs().unwrap() + 0.3).unwrap();
        macro_rules! check {
            ($x:expr; $($function:expr),*) => {$(
                check_operation(|| Map($function), std::slice::from_ref(&$x))
                    .unwrap_or_else(|e| panic!("{}: {e}", stringify!($function)));
            )*};
        }
        check!(any; Absolute, Exp, Exp2, Expm1, Square, Reciprocal, Tanh, Sinh, Cosh, Sin, Cos, Tan, Erf);
        check!(any; PowerOf(2.0), PowerOf(3.0), PowerOf(0.0), PowerOf(1.0), Clip { low: -0.5, high: 0.7 });
        check!(positive; Log, Log1p, Log2, Log10, Sqrt, Rsqrt, PowerOf(0.5), PowerOf(-1.5));
    }

    #[test]
    fn small_and_large_numbers_keep_their_digits() {
        for dtype in [DType::F32, DType::F64] {
            let x = Tensor::new(&[1e-6f64, -1e-6, 20.0, 0.5], &Device::Cpu).unwrap();
            let x = x.to_dtype(dtype).unwrap();
            let values = |y: Tensor| y.to_dtype(DType::F64).unwrap().to_vec1::<f64>().unwrap();
            let expm1 = values(Map(Expm1).apply(&[&x]).unwrap());
            let log1p = values(Map(Log1p).apply(&[&x]).unwrap());
            for (i, x) in values(x).into_iter().enumerate() {
                assert!((expm1[i] / x.exp_m1() - 1.0).abs() < 1e-6, "{x} {dtype:?}");
                assert!((log1p[i] / x.ln_1p() - 1.0).abs() < 1e-6, "{x} {dtype:?}");
            }
        }
    }

    #[test]
    fn slopes_at_kinks_are_those_of_keras_on_jax() {
        let slopes = |f: &dyn Fn(&Tensor) -> candle_core::Result<Tensor>| {
            let x = Var::new(&[-1f32, 0.0, 1.0], &Device::Cpu).unwrap();
            let (sum, tape) = sconce_core::Tape::record(|| f(&x)?.sum_all());
            let mut sink = sconce_core::GradientSink::new([x.as_tensor()]);
            tape.backward(&sum.unwrap(), &mut sink).unwrap();
            sink.take(&x).unwrap().to_vec1::<f32>().unwrap()
        };
        assert_eq!(slopes(&|x| Map(Absolute).apply(&[x])), [-1.0, 1.0, 1.0]);
        let clip = Clip { low: 0.0, high: 1.0 };
        assert_eq!(slopes(&|x| Map(clip).apply(&[x])), [0.0, 0.5, 0.5]);
    }
}
