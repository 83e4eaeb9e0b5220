use super::draw;
use crate::fields::require_finite;
use sconce_core::{Error, Initializer, Result, Stream};
use serde::{Deserialize, Serialize};

/// `gain` on the diagonal of a matrix `[rows, columns]`, zeros elsewhere. Any other number of axes
/// is an error. Keras: `Identity`, `"identity"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Identity {
    /// The value on the diagonal; 1.
    pub gain: f64,
}

impl Default for Identity {
    fn default() -> Self {
        Self { gain: 1.0 }
    }
}

impl Identity {
    /// With a value for the diagonal.
    pub fn new(gain: f64) -> Self {
        Self { gain }
    }
}

impl Initializer for Identity {
    fn check(&self) -> Result<()> {
        require_finite("gain", self.gain)
    }

    fn values(&self, dims: &[usize], _stream: &mut Stream) -> Result<Vec<f32>> {
        let [_, columns] = dims else {
            return Err(Error::layer(
                "",
                format!(
                    "the Identity initializer makes matrices, but the weight has the shape {dims:?}"
                ),
            ));
        };
        let mut values = draw::filled(dims, 0.0)?;
        for (row, values) in values.chunks_mut((*columns).max(1)).enumerate() {
            if let Some(value) = values.get_mut(row) {
                *value = self.gain as f32;
            }
        }
        Ok(values)
    }
}
