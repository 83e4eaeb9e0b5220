//! tmp
use sconce_core::{Entry, Kind, Part, Result, Stream, registry};
use serde::{Deserialize, Serialize};
/// table
pub struct Initializers;
impl Kind for Initializers {
    type Object = dyn sconce_core::Initializer;
    const NAME: &'static str = "initializer";
    const MODULE: &'static str = "keras.initializers";
    fn entries() -> &'static [Entry<Self>] {
        Self::ENTRIES
    }
}
/// part
pub type Initializer = Part<Initializers>;
registry! { Initializers: GlorotUniform = "GlorotUniform" ["glorot_uniform"]; Zeros = "Zeros" ["zeros"]; }
/// g
#[derive(Serialize, Deserialize, Default)]
pub struct GlorotUniform { seed: Option<u64> }
impl sconce_core::Initializer for GlorotUniform {
    fn values(&self, dims: &[usize], stream: &mut Stream) -> Result<Vec<f32>> {
        let l = (6.0 / (dims[0] + dims[1]) as f32).sqrt();
        Ok((0..dims.iter().product()).map(|_| (stream.uniform() * 2.0 - 1.0) * l).collect())
    }
}
/// g
#[derive(Serialize, Deserialize, Default)]
pub struct Zeros {}
impl sconce_core::Initializer for Zeros {
    fn values(&self, dims: &[usize], _: &mut Stream) -> Result<Vec<f32>> {
        Ok(vec![0.0; dims.iter().product()])
    }
}
