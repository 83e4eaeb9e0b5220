use super::draw;
use sconce_core::{Initializer, Result, Stream};
use serde::{Deserialize, Serialize};

/// Ones everywhere. Keras: `Ones`, `"ones"`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ones {}

impl Initializer for Ones {
    fn values(&self, dims: &[usize], _stream: &mut Stream) -> Result<Vec<f32>> {
        draw::filled(dims, 1.0)
    }
}
