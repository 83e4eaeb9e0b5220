//! Reductions to a scalar, for losses.

use crate::op::{Input, Kernel, Operation, Values, is_cpu_f32, one};
use candle_core::{DType, Device, Result, Shape, Tensor, bail};
use sconce_core::tape::Pass;
use sconce_kernels::with_slice;

/// `scale * sum(values * weights)`, summed in f64 on the CPU. `weights` has the shape of `values`.
pub fn weighted_sum(values: &Tensor, weights: Option<&Tensor>, scale: f64) -> Result<Tensor> {
    if let Some(weights) = weights
        && weights.dims() != values.dims()
    {
        bail!("weights of shape {:?} for values of shape {:?}", weights.dims(), values.dims())
    }
    let weights = match weights {
        Some(weights) => Some(weights.to_dtype(values.dtype())?.detach().contiguous()?),
        None => None,
    };
    WeightedSum { weights, scale }.apply(&[values])
}

/// The operation.
struct WeightedSum {
    weights: Option<Tensor>,
    scale: f64,
}

impl Operation for WeightedSum {
    type Saved = ();

    fn name(&self) -> &'static str {
        "weighted_sum"
    }

    fn forward(&self, inputs: &[&Tensor]) -> Result<(Vec<Tensor>, ())> {
        let values = match &self.weights {
            Some(weights) => (inputs[0] * weights)?,
            None => inputs[0].clone(),
        };
        one(values.sum_all()? * self.scale)
    }

    fn backward(&self, _saved: (), pass: &mut Pass<'_>) -> Result<()> {
        let gradient = pass.dy()?;
        let gradient = (gradient * self.scale)?;
        pass.give(
            0,
            match &self.weights {
                Some(weights) => weights.broadcast_mul(&gradient)?,
                None => gradient.broadcast_as(pass.input(0).shape())?.contiguous()?,
            },
        )
    }

    fn kernel(&self, device: &Device, dtype: DType) -> Option<&dyn Kernel<()>> {
        is_cpu_f32(device, dtype).then_some(self as &dyn Kernel<()>)
    }
}

impl Kernel<()> for WeightedSum {
    fn forward(&self, inputs: &[Input<'_>]) -> Result<(Vec<Values>, ())> {
        let values = inputs[0].data;
        let sum = match &self.weights {
            Some(weights) => with_slice(weights, |weights| {
                Ok(values
                    .iter()
                    .zip(weights)
                    .map(|(v, w)| f64::from(*v) * f64::from(*w))
                    .sum::<f64>())
            })?,
            None => values.iter().map(|v| f64::from(*v)).sum(),
        };
        Ok((vec![(vec![(sum * self.scale) as f32], Shape::from(()))], ()))
    }

    fn backward(&self, _saved: (), pass: &mut Pass<'_>) -> Result<()> {
        let gradient = pass.dy()?;
        let x = pass.input(0);
        let g = (f64::from(gradient.to_scalar::<f32>()?) * self.scale) as f32;
        let dx = match &self.weights {
            Some(weights) => with_slice(weights, |w| Ok(w.iter().map(|w| w * g).collect()))?,
            None => vec![g; x.elem_count()],
        };
        pass.give(0, Tensor::from_vec(dx, x.shape(), x.device())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gradient_check::{check, check_operation, sample};

    /// Ones added to 2^24 in f32 would be lost.
    #[test]
    fn sums_are_in_f64() {
        let mut values = vec![1f32; 1001];
        values[0] = 16_777_216.0;
        let x = Tensor::new(values.as_slice(), &Device::Cpu).unwrap();
        let sum = |weights: Option<&Tensor>| {
            weighted_sum(&x, weights, 1.0).unwrap().to_scalar::<f32>().unwrap()
        };
        assert_eq!(sum(None), 16_778_216.0);
        assert_eq!(sum(Some(&x.ones_like().unwrap())), 16_778_216.0);
    }

    #[test]
    fn gradients_and_forms_agree() {
        let x = sample("x", &[3, 5]).unwrap();
        check_operation(|| WeightedSum { weights: None, scale: 0.3 }, std::slice::from_ref(&x))
            .unwrap();
        let w = sample("w", &[3, 5]).unwrap();
        check(|x| weighted_sum(x[0], Some(&w), 0.5), std::slice::from_ref(&x), 1e-6).unwrap();
        let f32s = |t: &Tensor| t.to_dtype(candle_core::DType::F32).unwrap();
        let fused = weighted_sum(&f32s(&x), Some(&f32s(&w)), 0.5).unwrap();
        let exact = weighted_sum(&x, Some(&w), 0.5).unwrap().to_scalar::<f64>().unwrap();
        assert!((f64::from(fused.to_scalar::<f32>().unwrap()) - exact).abs() < 1e-5);
    }
}
