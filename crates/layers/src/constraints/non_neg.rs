use sconce_core::{Config, Constraint, Result, Tensor};

/// Sets negative weights to 0. Keras: `NonNeg`, `"non_neg"`.
#[derive(Clone, Debug, PartialEq, Config)]
pub struct NonNeg {}

impl Constraint for NonNeg {
    fn project(&self, weight: &Tensor) -> Result<Tensor> {
        Ok(weight.maximum(0.0)?)
    }
}
