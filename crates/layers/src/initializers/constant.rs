use super::draw;
use crate::ConstantValue;
use sconce_core::{Config, Dims, Error, Initializer, Result, Stream};

/// One value everywhere, or an array that is broadcast to the weight (such as a table of pretrained
/// embeddings): its axes are compared with the weight's from the last one on, and each must be equal
/// or 1. Keras: `Constant`, `"constant"`.
#[derive(Clone, Debug, PartialEq, Config)]
#[config(no_new)]
pub struct Constant {
    /// The value or values. In JSON a number, nested lists of numbers, or an array as Keras serializes
    /// it. Default 0.
    #[config(default)]
    pub value: ConstantValue,
}

impl Constant {
    /// With one value everywhere.
    pub fn new(value: f64) -> Self {
        Self { value: ConstantValue::Scalar(value) }
    }

    /// With an array of shape `dims`, its values in row-major order.
    pub fn array(dims: &[usize], values: Vec<f32>) -> Self {
        Self { value: ConstantValue::Array { dims: dims.to_vec(), values } }
    }
}

impl Initializer for Constant {
    fn check(&self) -> Result<()> {
        self.value.check("value")
    }

    fn values(&self, dims: &[usize], _stream: &mut Stream) -> Result<Vec<f32>> {
        self.check()?;
        match &self.value {
            ConstantValue::Scalar(value) => draw::filled(dims, *value as f32),
            ConstantValue::Array { dims: from, values } => {
                if !self.value.broadcasts_to(&Dims::known(dims)) {
                    return Err(Error::layer(
                        "",
                        format!(
                            "the Constant initializer's array of shape {from:?} cannot be broadcast \
                             to the weight's shape {dims:?}"
                        ),
                    ));
                }
                broadcast(from, values, dims)
            }
        }
    }
}

/// Repeats `values` of shape `from`, which fits `dims`, along the axes where it is 1 or has none.
fn broadcast(from: &[usize], values: &[f32], dims: &[usize]) -> Result<Vec<f32>> {
    let mut out = draw::reserve(dims)?;
    let mut index = vec![0usize; dims.len()];
    for _ in 0..draw::count(dims)? {
        let own = index.iter().skip(dims.len() - from.len());
        let at = own.zip(from).fold(0, |at, (i, dim)| at * dim + i.min(&(dim - 1)));
        out.push(values[at]);
        for (i, dim) in index.iter_mut().zip(dims).rev() {
            *i += 1;
            if *i < *dim {
                break;
            }
            *i = 0;
        }
    }
    Ok(out)
}
