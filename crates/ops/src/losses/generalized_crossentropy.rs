//! `t (1 - p^q) / q`: between crossentropy (q towards 0) and mean absolute error (q = 1).

use super::{EPSILON, Pointwise, power};
use crate::number::Number;

/// The generalized crossentropy of one class, for one-hot targets.
#[derive(Clone, Copy, Debug)]
pub struct GeneralizedCrossentropy {
    /// The exponent.
    pub q: f64,
}

impl Pointwise for GeneralizedCrossentropy {
    const NAME: &'static str = "categorical_generalized_cross_entropy";

    #[inline(always)]
    fn value<N: Number>(self, x: N, t: N) -> N {
        t * (-power(x, self.q) + 1.0) / self.q
    }

    /// Kept finite at 0, where it would be infinite.
    #[inline(always)]
    fn slope<N: Number>(self, x: N, t: N) -> N {
        -t * power(x.max(EPSILON), self.q - 1.0)
    }
}
