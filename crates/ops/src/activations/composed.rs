//! Pieces of the composed forms, in candle operations that every device has.

use candle_core::{Result, Tensor};

/// 1 where a mask is set, else 0, in the type of `like`.
pub fn flag(mask: &Tensor, like: &Tensor) -> Result<Tensor> {
    mask.to_dtype(like.dtype())
}

/// 1 above `at`, 0 below, and 1/2 there: the slope JAX gives to max(x, at).
pub fn step(x: &Tensor, at: f64) -> Result<Tensor> {
    (flag(&x.gt(at)?, x)? + flag(&x.ge(at)?, x)?)? * 0.5
}

/// `yes` where a mask is set, else the number `no`.
pub fn or_number(mask: &Tensor, yes: &Tensor, no: f64) -> Result<Tensor> {
    mask.where_cond(yes, &yes.zeros_like()?.affine(1.0, no)?)
}

/// ln(1 + x) for x in 0..=1, exact near 0 (Kahan's correction).
pub fn ln_1p(x: &Tensor) -> Result<Tensor> {
    let u = (x + 1.0)?;
    let d = (&u - 1.0)?;
    // Where 1 + x rounds to 1 the quotient is 0 / 0, and the result x.
    d.eq(0f64)?.where_cond(x, &(u.log()? * (x / d)?)?)
}

/// e^x - 1 for x <= 0, exact near 0: 2 t / (1 - t), where t = tanh(x / 2).
pub fn exp_m1(x: &Tensor) -> Result<Tensor> {
    let t = (x * 0.5)?.tanh()?;
    (&t * 2.0)? / (1.0 - &t)?
}

/// 1 / (1 + e^-x). At the low end e^-x overflows to infinity, whose inverse is the right 0.
pub fn sigmoid(x: &Tensor) -> Result<Tensor> {
    (x.neg()?.exp()? + 1.0)?.recip()
}

/// ln(1 + e^x), without overflow.
pub fn softplus(x: &Tensor) -> Result<Tensor> {
    x.maximum(0f64)? + ln_1p(&x.abs()?.neg()?.exp()?)?
}
