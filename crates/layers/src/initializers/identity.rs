use super::draw;
use sconce_core::{Config, Error, Initializer, Result, Stream};

/// `gain` on the diagonal of a matrix `[rows, columns]`, zeros elsewhere. Any other number of axes
/// is an error. Keras: `Identity`, `"identity"`.
#[derive(Clone, Debug, PartialEq, Config)]
#[config(new(gain))]
pub struct Identity {
    /// The value on the diagonal. Default 1.
    #[config(default = 1.0, range = "(-inf, inf)")]
    pub gain: f64,
}

impl Initializer for Identity {
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
