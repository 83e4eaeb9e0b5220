use super::draw;
use sconce_core::{Initializer, Result, Stream};
use serde::{Deserialize, Serialize};

/// Zeros everywhere. Keras: `Zeros`, `"zeros"`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Zeros {}

impl Initializer for Zeros {
    fn values(&self, dims: &[usize], _stream: &mut Stream) -> Result<Vec<f32>> {
        draw::filled(dims, 0.0)
    }
}
