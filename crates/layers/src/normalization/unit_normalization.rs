//! UnitNormalization: `y = x / |x|`, the Euclidean length over `axis`.

use crate::Axes;
use crate::{Call, Layer};
use sconce_core::{Args, Config, Result, Spec, Tensor};

/// Keras's epsilon in this layer: vectors that are shorter are divided by it.
const EPSILON: f64 = 1e-12;

/// Brings each vector along `axis` to length 1. A vector of zeros stays. x and y: any shape.
#[derive(Clone, Debug, Config)]
#[config(named)]
pub struct UnitNormalization {
    /// The axes of a vector; negative ones count from the end.
    #[config(default = Axes::One(-1))]
    pub axis: Axes,
}

/// `x / max(|x|, epsilon)`, the length over some axes.
pub fn unit(x: &Tensor, axes: &[usize], epsilon: f64) -> Result<Tensor> {
    let squares = x.sqr()?.sum_keepdim(axes)?;
    let length = squares.maximum(epsilon.powi(2))?.sqrt()?;
    Ok(x.broadcast_div(&length)?)
}

impl Layer for UnitNormalization {
    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let x = x.single("UnitNormalization")?;
        self.axis.positions(x.dims.rank())?;
        Ok(vec![x.clone()])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let x = call.single()?;
        Ok(vec![unit(x, &self.axis.positions(x.rank())?, EPSILON)?])
    }

    fn supports_masking(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sconce_core::{Context, Device, Var};

    #[test]
    fn zeros_stay_and_have_a_finite_gradient() {
        let x = Var::new(&[[3f32, 4.0], [0.0, 0.0]], &Device::Cpu).unwrap();
        let entry = crate::LayerEntry::from(UnitNormalization::new());
        let mut cx = Context::training(0, 0);
        let y = crate::run(&entry, &[&x], &mut cx).unwrap().remove(0);
        assert_eq!(y.to_vec2::<f32>().unwrap(), [[0.6, 0.8], [0.0, 0.0]]);
        let sum = y.sum_all().unwrap();
        let gradient = sconce_core::gradients(&sum, &[x.as_tensor()]).unwrap().remove(0).unwrap();
        assert!(
            gradient.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().all(|g| g.is_finite())
        );
    }
}
