//! Formulas that are written once: the fused kernels compute them in f32, the composed forms on tensors
//! of any device and float type.

use sconce_kernels::math;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// What a formula computes with: a [`Scalar`] or an [`Expression`](crate::expression::Expression).
///
/// All of it is elementwise, and a NaN stays NaN. Instead of branches there are comparisons, whose
/// masks select between two results; both are computed.
pub trait Number:
    Copy
    + Neg<Output = Self>
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Add<f64, Output = Self>
    + Sub<f64, Output = Self>
    + Mul<f64, Output = Self>
    + Div<f64, Output = Self>
{
    /// The result of a comparison.
    type Mask: Mask<Self>;

    /// `|x|`.
    fn abs(self) -> Self;
    /// `sqrt(x)`.
    fn sqrt(self) -> Self;
    /// `1 / x`.
    fn recip(self) -> Self;
    /// `e^x`.
    fn exp(self) -> Self;
    /// `e^x - 1`, exact near 0 for x <= 0. Above 0 it may lose digits.
    fn exp_m1(self) -> Self;
    /// `x^exponent`; for x < 0, of whole exponents.
    fn powf(self, exponent: f64) -> Self;
    /// `ln(x)`.
    fn ln(self) -> Self;
    /// `ln(1 + x)` for x in 0..=1, exact near 0.
    fn ln_1p(self) -> Self;
    /// `sin(x)`.
    fn sin(self) -> Self;
    /// `cos(x)`.
    fn cos(self) -> Self;
    /// `tanh(x)`.
    fn tanh(self) -> Self;
    /// `x - tanh(x)`.
    fn tanh_shrink(self) -> Self;
    /// `1 / (1 + e^-x)`, without overflow.
    fn sigmoid(self) -> Self;
    /// `ln(1 + e^x)`, without overflow.
    fn softplus(self) -> Self;
    /// The standard normal distribution: the probability `P(X <= x)` and its slope, the density.
    fn normal(self) -> (Self, Self);

    /// The larger of two.
    fn max(self, other: impl Into<Operand<Self>>) -> Self;
    /// The smaller of two.
    fn min(self, other: impl Into<Operand<Self>>) -> Self;

    /// Where x > other.
    fn gt(self, other: impl Into<Operand<Self>>) -> Self::Mask;
    /// Where x >= other.
    fn ge(self, other: impl Into<Operand<Self>>) -> Self::Mask;
    /// Where x < other.
    fn lt(self, other: impl Into<Operand<Self>>) -> Self::Mask;
    /// Where x <= other.
    fn le(self, other: impl Into<Operand<Self>>) -> Self::Mask;
    /// Where x = other.
    fn eq(self, other: impl Into<Operand<Self>>) -> Self::Mask;
}

/// Where a comparison holds.
pub trait Mask<N>: Copy {
    /// `yes` where it holds, else `no`.
    fn select(self, yes: impl Into<Operand<N>>, no: impl Into<Operand<N>>) -> N;
}

/// A number or a constant.
#[derive(Clone, Copy)]
pub enum Operand<N> {
    /// The same for every element.
    Constant(f64),
    /// One for each element.
    Number(N),
}

impl<N: Number> From<f64> for Operand<N> {
    #[inline(always)]
    fn from(constant: f64) -> Self {
        Self::Constant(constant)
    }
}

impl<N: Number> From<N> for Operand<N> {
    #[inline(always)]
    fn from(number: N) -> Self {
        Self::Number(number)
    }
}

/// One f32. Its arithmetic is plain, without branches, and inlined, so that loops over it vectorise.
#[derive(Clone, Copy)]
pub struct Scalar(pub f32);

impl Operand<Scalar> {
    #[inline(always)]
    fn value(self) -> f32 {
        match self {
            Self::Constant(constant) => constant as f32,
            Self::Number(Scalar(value)) => value,
        }
    }
}

impl Mask<Scalar> for bool {
    #[inline(always)]
    fn select(self, yes: impl Into<Operand<Scalar>>, no: impl Into<Operand<Scalar>>) -> Scalar {
        let (yes, no) = (yes.into().value(), no.into().value());
        Scalar(if self { yes } else { no })
    }
}

impl Neg for Scalar {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

macro_rules! operators {
    ($($operator:ident $name:ident $sign:tt;)*) => {$(
        impl $operator for Scalar {
            type Output = Self;
            #[inline(always)]
            fn $name(self, other: Self) -> Self {
                Self(self.0 $sign other.0)
            }
        }
        impl $operator<f64> for Scalar {
            type Output = Self;
            #[inline(always)]
            fn $name(self, other: f64) -> Self {
                Self(self.0 $sign other as f32)
            }
        }
    )*};
}

operators! {
    Add add +;
    Sub sub -;
    Mul mul *;
    Div div /;
}

macro_rules! functions {
    ($($name:ident $function:path;)*) => {$(
        #[inline(always)]
        fn $name(self) -> Self {
            Self($function(self.0))
        }
    )*};
}

macro_rules! comparisons {
    ($($name:ident $sign:tt;)*) => {$(
        #[inline(always)]
        fn $name(self, other: impl Into<Operand<Self>>) -> bool {
            self.0 $sign other.into().value()
        }
    )*};
}

impl Number for Scalar {
    type Mask = bool;

    functions! {
        abs f32::abs;
        sqrt f32::sqrt;
        recip f32::recip;
        sin f32::sin;
        cos f32::cos;
        exp math::exp;
        exp_m1 math::exp_m1;
        ln math::ln;
        ln_1p math::ln_1p;
        tanh math::tanh;
        tanh_shrink math::tanh_shrink;
        sigmoid math::sigmoid;
        softplus math::softplus;
    }

    #[inline(always)]
    fn powf(self, exponent: f64) -> Self {
        if exponent == 0.5 { self.sqrt() } else { Self(self.0.powf(exponent as f32)) }
    }

    #[inline(always)]
    fn normal(self) -> (Self, Self) {
        let (probability, density) = math::normal(self.0);
        (Self(probability), Self(density))
    }

    // Not f32's `max` and `min`, which would hide a NaN.
    #[inline(always)]
    fn max(self, other: impl Into<Operand<Self>>) -> Self {
        let other = other.into().value();
        Self(if self.0 < other { other } else { self.0 })
    }

    #[inline(always)]
    fn min(self, other: impl Into<Operand<Self>>) -> Self {
        let other = other.into().value();
        Self(if self.0 > other { other } else { self.0 })
    }

    comparisons! {
        gt >;
        ge >=;
        lt <;
        le <=;
        eq ==;
    }
}
