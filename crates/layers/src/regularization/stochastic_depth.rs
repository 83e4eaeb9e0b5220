//! StochasticDepth: in training, a branch of a residual block is left out at random.
//!
//! Huang et al., "Deep networks with stochastic depth", 2016.

use crate::{Call, Layer};
use sconce_core::{Args, Config, Result, Spec, Tensor};

/// In training each sample is 0 with probability `drop_path_rate`, else divided by `1 - drop_path_rate`;
/// elsewhere `y = x`. x and y: any shape. Keras: the layer of `keras.applications.convnext`.
#[derive(Clone, Debug, Config)]
#[config(module = "keras.src.applications.convnext")]
pub struct StochasticDepth {
    /// Probability of 0, in 0..1.
    #[config(range = "[0, 1)")]
    pub drop_path_rate: f64,
}

impl Layer for StochasticDepth {
    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        Ok(vec![x.single("StochasticDepth")?.clone()])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let x = call.single()?;
        if !call.training() || self.drop_path_rate == 0.0 {
            return Ok(vec![x.clone()]);
        }
        let mut dims = vec![1; x.rank()];
        if let (Some(rows), Some(all)) = (dims.first_mut(), x.dims().first()) {
            *rows = *all;
        }
        Ok(vec![sconce_ops::dropout(x, self.drop_path_rate, &dims, &call.stream(0))?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sconce_core::{Context, DType, Device};

    #[test]
    fn whole_samples_are_dropped() {
        let entry = crate::LayerEntry::from(StochasticDepth::new(0.25));
        let x = Tensor::ones((400, 3), DType::F32, &Device::Cpu).unwrap();
        let y = crate::run(&entry, &[&x], &mut Context::training(0, 0)).unwrap().remove(0);
        let y = y.to_vec2::<f32>().unwrap();
        assert!(y.iter().all(|row| row.iter().all(|v| *v == row[0])));
        let dropped = y.iter().filter(|row| row[0] == 0.0).count();
        assert!((60..140).contains(&dropped), "{dropped}");
    }
}
