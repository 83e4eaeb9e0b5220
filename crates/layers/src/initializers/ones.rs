use super::draw;
use sconce_core::{Config, Initializer, Result, Stream};

/// Ones everywhere. Keras: `Ones`, `"ones"`.
#[derive(Clone, Debug, PartialEq, Config)]
pub struct Ones {}

impl Initializer for Ones {
    fn values(&self, dims: &[usize], _stream: &mut Stream) -> Result<Vec<f32>> {
        draw::filled(dims, 1.0)
    }
}
