//! GaussianNoise: in training, `y = x + n`, where each n is normal around 0.

use super::{normal, stream};
use crate::{Call, Layer, seed};
use sconce_core::{Args, Config, Result, Spec, Tensor};
use sconce_ops::arithmetic::{Operator, arithmetic};

/// In training a normal number of mean 0 is added to each value; elsewhere `y = x`. x and y: any
/// shape.
#[derive(Clone, Debug, Config)]
#[config(named)]
pub struct GaussianNoise {
    /// Standard deviation of the noise, in 0..=1.
    #[config(range = "[0, 1]")]
    pub stddev: f64,
    /// A seed of its own, instead of the run's.
    #[config(with = seed)]
    pub seed: Option<u64>,
}

impl Layer for GaussianNoise {
    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        Ok(vec![x.single("GaussianNoise")?.clone()])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let x = call.single()?;
        if !call.training() || self.stddev == 0.0 {
            return Ok(vec![x.clone()]);
        }
        let noise = normal(x, 0.0, self.stddev, stream(call, self.seed))?;
        Ok(vec![arithmetic(Operator::Add, x, &noise)?])
    }

    fn supports_masking(&self) -> bool {
        true
    }

    fn outputs_probabilities(&self) -> Option<bool> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GaussianDropout, LayerEntry};
    use sconce_core::{Context, DType, Device};

    /// Mean and standard deviation of what comes of ones.
    fn moments(entry: LayerEntry, cx: &mut Context) -> (f64, f64) {
        let ones = Tensor::ones((200, 200), DType::F32, &Device::Cpu).unwrap();
        let y = crate::run(&entry, &[&ones], cx).unwrap().remove(0);
        let values = y.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / 40_000.0;
        let squares = values.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>();
        (mean, (squares / 40_000.0).sqrt())
    }

    #[test]
    fn noise_has_the_stated_deviation_and_repeats() {
        let noise = || LayerEntry::from(GaussianNoise::new(0.4));
        let dropout = || LayerEntry::from(GaussianDropout::new(0.2));
        for (entry, expected) in [(noise(), 0.4), (dropout(), 0.5)] {
            let (mean, deviation) = moments(entry.clone(), &mut Context::training(0, 0));
            assert!((mean - 1.0).abs() < 0.01, "{mean}");
            assert!((deviation - expected).abs() < 0.01, "{deviation}");
            let again = moments(entry.clone(), &mut Context::training(0, 0));
            assert_eq!((mean, deviation), again);
            assert_ne!((mean, deviation), moments(entry.clone(), &mut Context::training(0, 1)));
            assert_eq!(moments(entry, &mut Context::inference()), (1.0, 0.0));
        }
        // A seed of the layer's own takes the place of the run's.
        let seeded = || LayerEntry::from(GaussianNoise::new(0.4).seed(3u64));
        let of_run = |seed| moments(seeded(), &mut Context::training(seed, 0));
        assert_eq!(of_run(1), of_run(2));
    }
}
