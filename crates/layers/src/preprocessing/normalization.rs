//! Normalization: `y = (x - mean) / max(sqrt(variance), 1e-7)`.

use crate::initializers::Initializer;
use crate::{Call, ConstantValue, Layer, LayerEntry};
use sconce_core::axes::{Axes, known};
use sconce_core::{Args, Config, DType, Dims, Error, Result, Spec, Tensor, WeightSpec};

/// Keras's epsilon: no standard deviation is taken to be smaller.
const EPSILON: f64 = 1e-7;

/// Brings features to mean 0 and variance 1, each by itself. x and y: any shape.
///
/// Mean and variance are given, or taken from data by [`Normalization::adapt`], which keeps them as
/// weights that training does not change (`mean`, `variance` of the lengths of `axis`, and `count`,
/// which Keras keeps for old files). Training batches do not change them. Keras: `Normalization`.
///
/// ```
/// use sconce_layers::{Normalization, run};
/// use sconce_core::{Context, Device, Tensor};
/// let data = Tensor::new(&[[0f32, 7., 4.], [2., 9., 6.], [0., 7., 4.], [2., 9., 6.]], &Device::Cpu)?;
/// let layer = Normalization::new().adapt(&data)?;
/// let y = run(&layer, &[&data], &mut Context::inference())?.remove(0);
/// assert_eq!(y.to_vec2::<f32>()?[0], [-1., -1., -1.]);
/// # Ok::<(), sconce_core::Error>(())
/// ```
#[derive(Clone, Debug, Config)]
#[config(named)]
pub struct Normalization {
    /// The axes that have a mean and a variance at each position; `[]` (`null`) for one of everything.
    #[config(default = Axes::Many(vec![-1]), null = Axes::Many(Vec::new()))]
    pub axis: Axes,
    /// With `true` the way back: `y = x max(sqrt(variance), 1e-7) + mean`.
    #[config(default = false)]
    pub invert: bool,
    /// A number, or an array of the lengths of `axis`. Given with `variance`.
    pub mean: Option<ConstantValue>,
    /// A number, or an array of the lengths of `axis`. Given with `mean`.
    pub variance: Option<ConstantValue>,
}

impl Normalization {
    /// The layer with the mean and variance of data, the batch axis first. For data that comes in
    /// parts: [`LayerEntry::adapt`].
    ///
    /// # Errors
    /// If mean and variance are given, the data is empty or not finite, or its shape does not go with
    /// `axis`.
    pub fn adapt(self, data: &Tensor) -> Result<LayerEntry> {
        let entry = LayerEntry::from(self);
        entry.adapt([Ok(data.clone())])?;
        Ok(entry)
    }

    /// The given mean and variance; `None`: they are weights.
    fn given(&self) -> Option<[&ConstantValue; 2]> {
        Some([self.mean.as_ref()?, self.variance.as_ref()?])
    }

    /// A mean or variance of the kept axes as a tensor that broadcasts to `x`.
    fn align(&self, value: &Tensor, x: &Tensor) -> Result<Tensor> {
        let kept = self.axis.positions(x.rank())?;
        let mut dims = vec![1; x.rank()];
        for (position, length) in kept.iter().rev().zip(value.dims().iter().rev()) {
            if let Some(dim) = dims.get_mut(*position) {
                *dim = *length;
            }
        }
        Ok(value.to_dtype(x.dtype())?.reshape(dims)?)
    }
}

impl Layer for Normalization {
    fn check(&self) -> Result<()> {
        match (&self.mean, &self.variance) {
            (None, None) => return Ok(()),
            (Some(mean), Some(variance)) if mean.dims() == variance.dims() => {
                mean.check("mean")?;
                variance.check("variance")?;
            }
            (Some(mean), Some(variance)) => {
                let message = format!(
                    "mean of shape {:?} and variance of shape {:?} must have one shape",
                    mean.dims(),
                    variance.dims()
                );
                return Err(Error::config("variance", message));
            }
            _ => return Err(Error::config("", "mean and variance must be given together")),
        }
        let (rank, axes) = (self.mean.as_ref().map_or(0, |m| m.dims().len()), &self.axis);
        if rank > axes.as_slice().len() {
            let message =
                format!("has {rank} axes, but `axis` keeps only {:?}", self.axis.as_slice());
            return Err(Error::config("mean", message));
        }
        Ok(())
    }

    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let x = x.single("Normalization")?;
        let kept = self.axis.positions(x.dims.rank())?;
        for (key, value) in [("mean", &self.mean), ("variance", &self.variance)] {
            let dims = value.as_ref().map_or(&[][..], ConstantValue::dims);
            for (position, length) in kept.iter().rev().zip(dims.iter().rev()) {
                if *length != 1 && *length != known(&x.dims, *position)? {
                    let message = format!(
                        "{key} of shape {dims:?} does not go with inputs of shape {}",
                        x.dims
                    );
                    return Err(Error::layer("", message));
                }
            }
        }
        Ok(vec![x.clone()])
    }

    fn weights(&self, x: &Args<Spec>) -> Result<Vec<WeightSpec>> {
        if self.given().is_some() {
            return Ok(Vec::new());
        }
        let dims = &x.single("Normalization")?.dims;
        let kept = self.axis.positions(dims.rank())?;
        let kept = kept.iter().map(|axis| known(dims, *axis)).collect::<Result<Vec<_>>>()?;
        let weight = |name, dims: &[usize], initializer: &str| -> Result<WeightSpec> {
            let initializer = Initializer::from(initializer).get()?.clone();
            Ok(WeightSpec::new(name, dims, initializer).non_trainable())
        };
        Ok(vec![
            weight("mean", &kept, "zeros")?,
            weight("variance", &kept, "ones")?,
            weight("count", &[], "zeros")?.dtype(DType::I32),
        ])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let x = call.single()?;
        let (mean, variance) = match self.given() {
            Some([mean, variance]) => (mean.like(x)?, variance.like(x)?),
            None => (call.state("mean")?, call.state("variance")?),
        };
        let (mean, variance) = (self.align(&mean, x)?, self.align(&variance, x)?);
        let deviation = variance.sqrt()?.maximum(EPSILON)?;
        let y = match self.invert {
            true => x.broadcast_mul(&deviation)?.broadcast_add(&mean)?,
            false => x.broadcast_sub(&mean)?.broadcast_div(&deviation)?,
        };
        Ok(vec![y])
    }

    fn supports_masking(&self) -> bool {
        true
    }

    fn adapt(
        &self,
        data: &mut dyn Iterator<Item = Result<Tensor>>,
    ) -> Result<Vec<(&'static str, Tensor)>> {
        if self.given().is_some() {
            let message = "mean and variance are given; leave them out to take them from data";
            return Err(Error::layer("", message));
        }
        let mut moments: Option<Moments> = None;
        for batch in data {
            let batch = batch?;
            let kept = self.axis.positions(batch.rank())?;
            moments.get_or_insert_with(Moments::default).add(&batch, &kept)?;
        }
        let Some(moments) = moments.filter(|moments| moments.count > 0.0) else {
            return Err(Error::data("there is no data to take mean and variance from"));
        };
        let tensor = |values: &mut dyn Iterator<Item = f64>| -> Result<Tensor> {
            let values: Vec<f64> = values.collect();
            if values.iter().any(|value| !value.is_finite()) {
                let message = "the data has values that are not finite, or too large to square";
                return Err(Error::data(message));
            }
            Ok(Tensor::from_vec(values, moments.dims.as_slice(), &sconce_core::Device::Cpu)?)
        };
        Ok(vec![
            ("mean", tensor(&mut moments.mean.iter().copied())?),
            ("variance", tensor(&mut moments.squares.iter().map(|s| s / moments.count))?),
        ])
    }
}

/// Mean and squared deviations of data that comes in batches, in f64 (Chan et al., "Algorithms for
/// computing the sample variance", 1983).
#[derive(Default)]
struct Moments {
    /// The lengths of the kept axes.
    dims: Vec<usize>,
    count: f64,
    mean: Vec<f64>,
    squares: Vec<f64>,
}

impl Moments {
    fn add(&mut self, batch: &Tensor, kept: &[usize]) -> Result<()> {
        let dims: Vec<usize> =
            kept.iter().map(|axis| batch.dims().get(*axis).copied().unwrap_or(0)).collect();
        let width = dims.iter().product::<usize>();
        if self.count == 0.0 {
            (self.mean, self.squares) = (vec![0.0; width], vec![0.0; width]);
            self.dims.clone_from(&dims);
        }
        if self.dims != dims {
            let message = format!(
                "a batch of shape {:?} has lengths {dims:?} on the kept axes, those before it {:?}",
                Dims::known(batch.dims()).to_string(),
                self.dims
            );
            return Err(Error::data(message));
        }
        let reduced = (0..batch.rank()).filter(|axis| !kept.contains(axis));
        let order: Vec<usize> = reduced.chain(kept.iter().copied()).collect();
        let rows = batch.permute(order)?.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>()?;
        if rows.is_empty() {
            return Ok(());
        }
        let count = (rows.len() / width) as f64;
        let mut mean = vec![0.0; width];
        for row in rows.chunks_exact(width) {
            mean.iter_mut().zip(row).for_each(|(mean, x)| *mean += x / count);
        }
        let mut squares = vec![0.0; width];
        for row in rows.chunks_exact(width) {
            for ((square, x), mean) in squares.iter_mut().zip(row).zip(&mean) {
                *square += (x - mean) * (x - mean);
            }
        }
        let total = self.count + count;
        let own = self.mean.iter_mut().zip(&mut self.squares);
        for ((own_mean, own_squares), (mean, squares)) in own.zip(mean.iter().zip(&squares)) {
            let distance = mean - *own_mean;
            *own_mean += distance * count / total;
            *own_squares += squares + distance * distance * self.count * count / total;
        }
        self.count = total;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::from_json;
    use sconce_core::{Context, Device};
    use serde_json::json;

    fn data() -> Tensor {
        let values = [[0f32, 7., 4.], [2., 9., 6.], [0., 7., 4.], [2., 9., 6.]];
        Tensor::new(&values, &Device::Cpu).unwrap()
    }

    fn weights(entry: &LayerEntry) -> Vec<Vec<f32>> {
        let weights = entry.weights().iter().take(2);
        weights.map(|w| w.var.flatten_all().unwrap().to_vec1().unwrap()).collect()
    }

    #[test]
    fn parts_give_what_the_whole_gives() {
        let whole = Normalization::new().adapt(&data()).unwrap();
        assert_eq!(weights(&whole), [[1., 8., 5.], [1., 1., 1.]]);
        let parts = LayerEntry::from(Normalization::new());
        let part = |from, rows| Ok(data().narrow(0, from, rows).unwrap());
        parts.adapt([part(0, 1), part(1, 2), part(3, 0), part(3, 1)]).unwrap();
        assert_eq!(weights(&parts), weights(&whole));
        // Once more, on a layer that is built: other data takes the place of the first.
        parts.adapt([Ok((data() * 2.0).unwrap())]).unwrap();
        assert_eq!(weights(&parts), [[2., 16., 10.], [4., 4., 4.]]);
        let error = parts.adapt([Ok(Tensor::ones((2, 4), DType::F32, &Device::Cpu).unwrap())]);
        assert!(error.unwrap_err().to_string().contains("[3]"));
    }

    #[test]
    fn axes_say_what_is_kept() {
        let x = data().reshape((2, 2, 3)).unwrap();
        let of = |axis: Axes| Normalization::new().axis(axis).adapt(&x).unwrap();
        let shapes = |entry: &LayerEntry| entry.weights()[0].var.dims().to_vec();
        assert_eq!(shapes(&of([1, 2].into())), [2, 3]);
        assert_eq!(shapes(&of(Axes::One(1))), [2]);
        let none = of(Axes::Many(Vec::new()));
        assert_eq!(weights(&none), [[14.0 / 3.0], [83.0 / 9.0]]);
        let y = crate::run(&none, &[&x], &mut Context::inference()).unwrap().remove(0);
        assert!(y.mean_all().unwrap().to_scalar::<f32>().unwrap().abs() < 1e-6);
        // Values far from 0 keep their digits.
        let far = (data() + 1e4).unwrap();
        let far = Normalization::new().adapt(&far).unwrap();
        assert_eq!(weights(&far), [[10001., 10008., 10005.], [1., 1., 1.]]);
    }

    #[test]
    fn what_cannot_be_adapted_is_refused() {
        let refused = |layer: Normalization, x: &Tensor| layer.adapt(x).unwrap_err().to_string();
        let given = Normalization::new().mean(1.0).variance(2.0);
        assert!(refused(given, &data()).contains("mean and variance are given"));
        let nothing = data().narrow(0, 0, 0).unwrap();
        assert!(refused(Normalization::new(), &nothing).contains("no data"));
        let infinite = (data() / 0.0).unwrap();
        assert!(refused(Normalization::new(), &infinite).contains("not finite"));
        assert!(refused(Normalization::new().axis(2), &data()).contains("axis 2 does not exist"));
        let dense = LayerEntry::from(crate::Dense::new(1));
        let error = dense.adapt([Ok(data())]).unwrap_err().to_string();
        assert!(error.contains("Dense is not adapted to data"), "{error}");
    }

    #[test]
    fn configurations_that_cannot_work_are_refused() {
        for (config, message) in [
            (json!({"mean": 1.0}), "mean and variance must be given together"),
            (json!({"mean": 1.0, "variance": [1.0]}), "must have one shape"),
            (json!({"mean": [[1.0]], "variance": [[1.0]]}), "has 2 axes, but `axis` keeps only"),
        ] {
            let document = json!({"class_name": "Normalization", "config": config});
            let error = from_json(&document).err().unwrap().to_string();
            assert!(error.contains(message), "{error}");
        }
        let given = Normalization::new().mean([1.0, 2.0]).variance([1.0, 2.0]);
        let error = given.outputs(&Args::one(Spec::float(Dims::batch_of(&[3])))).unwrap_err();
        assert!(error.to_string().contains("mean of shape [2] does not go with"), "{error}");
    }
}
