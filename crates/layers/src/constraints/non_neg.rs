use sconce_core::{Constraint, Result, Tensor};
use serde::{Deserialize, Serialize};

/// Sets negative weights to 0. Keras: `NonNeg`, `"non_neg"`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NonNeg {}

impl Constraint for NonNeg {
    fn project(&self, weight: &Tensor) -> Result<Tensor> {
        Ok(weight.maximum(0.0)?)
    }
}
