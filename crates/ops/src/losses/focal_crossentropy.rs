//! Crossentropies that count less what is predicted well already, by a factor of
//! `(1 - probability of the target)^gamma`.

use super::{BinaryCrossentropy, EPSILON, LogitBinaryCrossentropy, Pointwise, power};
use crate::number::{Mask, Number};

/// The binary crossentropy of p and t times `q^gamma`, `q = 1 - t p - (1 - t) (1 - p)`.
#[derive(Clone, Copy, Debug)]
pub struct BinaryFocalCrossentropy {
    /// The exponent.
    pub gamma: f64,
    /// The weight of targets of 1; those of 0 weigh the rest to 1. `None`: all weigh 1.
    pub alpha: Option<f64>,
    /// Whether p is `sigmoid(x)`.
    pub logits: bool,
}

impl BinaryFocalCrossentropy {
    /// p, q and the weight.
    #[inline(always)]
    fn parts<N: Number>(self, x: N, t: N) -> (N, N, N) {
        let p = if self.logits { x.sigmoid() } else { x };
        let q = (t + p - t * p * 2.0).max(0.0);
        let weight = match self.alpha {
            Some(alpha) => t * (2.0 * alpha - 1.0) + (1.0 - alpha),
            None => t * 0.0 + 1.0,
        };
        (p, q, weight)
    }
}

impl Pointwise for BinaryFocalCrossentropy {
    const NAME: &'static str = "binary_focal_crossentropy";

    #[inline(always)]
    fn value<N: Number>(self, x: N, t: N) -> N {
        let (_, q, weight) = self.parts(x, t);
        let loss = match self.logits {
            true => LogitBinaryCrossentropy.value(x, t),
            false => BinaryCrossentropy.value(x, t),
        };
        weight * power(q, self.gamma) * loss
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N, t: N) -> N {
        let (p, q, weight) = self.parts(x, t);
        let (loss, slope, dp) = match self.logits {
            true => {
                let crossentropy = LogitBinaryCrossentropy;
                (crossentropy.value(x, t), crossentropy.slope(x, t), p * (-p + 1.0))
            }
            false => {
                let crossentropy = BinaryCrossentropy;
                (crossentropy.value(x, t), crossentropy.slope(x, t), p * 0.0 + 1.0)
            }
        };
        let dq = (-(t * 2.0) + 1.0) * dp;
        let factor = power(q, self.gamma - 1.0) * self.gamma;
        weight * (factor * dq * loss + power(q, self.gamma) * slope)
    }
}

/// `-alpha t (1 - p)^gamma ln(p)`. Probabilities are kept in `EPSILON..1 - EPSILON`, beyond which the
/// slope is 0; their logarithms are taken as they are.
#[derive(Clone, Copy, Debug)]
pub struct CategoricalFocalCrossentropy {
    /// The exponent.
    pub gamma: f64,
    /// The weight of all classes.
    pub alpha: f64,
    /// Whether x is `ln(p)`.
    pub logarithms: bool,
}

impl CategoricalFocalCrossentropy {
    /// p, 1 - p and ln(p).
    #[inline(always)]
    fn parts<N: Number>(self, x: N) -> (N, N, N) {
        if self.logarithms {
            (x.exp(), -x.exp_m1(), x)
        } else {
            let p = x.max(EPSILON).min(1.0 - EPSILON);
            (p, -p + 1.0, p.ln())
        }
    }
}

impl Pointwise for CategoricalFocalCrossentropy {
    const NAME: &'static str = "categorical_focal_crossentropy";

    #[inline(always)]
    fn value<N: Number>(self, x: N, t: N) -> N {
        let (_, rest, log) = self.parts(x);
        -(t * power(rest, self.gamma) * log) * self.alpha
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N, t: N) -> N {
        let (p, rest, log) = self.parts(x);
        // d/dp of (1 - p)^gamma ln(p), times p.
        let factor = power(rest, self.gamma - 1.0) * self.gamma;
        let slope = -(t * (power(rest, self.gamma) - factor * p * log)) * self.alpha;
        if self.logarithms {
            return slope;
        }
        x.lt(EPSILON).select(0.0, x.gt(1.0 - EPSILON).select(0.0, slope / p))
    }
}
