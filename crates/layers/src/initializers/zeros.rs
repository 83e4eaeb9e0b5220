use super::draw;
use sconce_core::{Config, Initializer, Result, Stream};

/// Zeros everywhere. Keras: `Zeros`, `"zeros"`.
#[derive(Clone, Debug, PartialEq, Config)]
pub struct Zeros {}

impl Initializer for Zeros {
    fn values(&self, dims: &[usize], _stream: &mut Stream) -> Result<Vec<f32>> {
        draw::filled(dims, 0.0)
    }
}
