//! Features of mean 0 and deviation 1.

use sconce_core::{DType, Device, Error, Result, Tensor};

/// The mean and the deviation of each feature of some rows, to standardise these rows and others
/// alike: (x - mean) / deviation, as scikit-learn's `StandardScaler`.
///
/// The deviation is that of the population (divided by the number of rows). A constant feature is
/// only centred.
#[derive(Clone, Debug, PartialEq)]
pub struct Standardizer {
    /// The mean of each feature.
    pub mean: Vec<f64>,
    /// The standard deviation of each feature; 1 where it is constant.
    pub deviation: Vec<f64>,
}

impl Standardizer {
    /// The statistics of x [rows, features].
    ///
    /// # Errors
    /// An array of another rank, or without rows.
    pub fn of(x: &Tensor) -> Result<Self> {
        let (rows, features, values) = matrix(x)?;
        if rows == 0 {
            return Err(Error::data("no rows to take means and deviations from"));
        }
        let mut statistics = Self { mean: Vec::new(), deviation: Vec::new() };
        for feature in 0..features {
            let column = || values.iter().skip(feature).step_by(features).map(|v| f64::from(*v));
            let mean = column().sum::<f64>() / rows as f64;
            let variance = column().map(|v| (v - mean).powi(2)).sum::<f64>() / rows as f64;
            let constant = column().all(|v| Some(v) == column().next());
            statistics.mean.push(mean);
            statistics.deviation.push(if constant { 1.0 } else { variance.sqrt() });
        }
        Ok(statistics)
    }

    /// x [rows, features] standardised, `F32`.
    ///
    /// # Errors
    /// An array of another rank or another number of features.
    pub fn apply(&self, x: &Tensor) -> Result<Tensor> {
        let (rows, features, mut values) = matrix(x)?;
        if features != self.mean.len() {
            return Err(Error::data(format!(
                "the means and deviations are of {} features, the data has {features}",
                self.mean.len()
            )));
        }
        for row in values.chunks_exact_mut(features.max(1)) {
            for ((v, mean), deviation) in row.iter_mut().zip(&self.mean).zip(&self.deviation) {
                *v = ((f64::from(*v) - mean) / deviation) as f32;
            }
        }
        Ok(Tensor::from_vec(values, (rows, features), &Device::Cpu)?)
    }
}

fn matrix(x: &Tensor) -> Result<(usize, usize, Vec<f32>)> {
    let [rows, features] = *x.dims() else {
        return Err(Error::data(format!(
            "only arrays of shape [rows, features] can be standardised, not {:?}",
            x.dims()
        )));
    };
    Ok((rows, features, x.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ToTensor;

    #[test]
    fn features_have_mean_0_and_deviation_1() {
        let x = [[1f32, 0.1, -2.], [2., 0.1, 0.], [6., 0.1, 2.]].to_tensor().unwrap();
        let statistics = Standardizer::of(&x).unwrap();
        let y = statistics.apply(&x).unwrap().t().unwrap().to_vec2::<f32>().unwrap();
        for column in [&y[0], &y[2]] {
            assert!(column.iter().sum::<f32>().abs() < 1e-6);
            assert!((column.iter().map(|v| v * v).sum::<f32>() - 3.0).abs() < 1e-5);
        }
        // A constant column is centred and never blown up.
        assert_eq!(y[1], [0.0; 3]);
        assert_eq!(statistics.deviation[1], 1.0);
    }

    #[test]
    fn other_shapes_are_refused() {
        let x = [[1f32, 2.]].to_tensor().unwrap();
        let statistics = Standardizer::of(&x).unwrap();
        let error = statistics.apply(&[[1f32]].to_tensor().unwrap()).unwrap_err().to_string();
        assert!(error.contains("of 2 features, the data has 1"), "{error}");
        let error = Standardizer::of(&[1f32].to_tensor().unwrap()).unwrap_err().to_string();
        assert!(error.contains("[rows, features]"), "{error}");
        let empty = Tensor::zeros((0, 2), DType::F32, &Device::Cpu).unwrap();
        assert!(Standardizer::of(&empty).unwrap_err().to_string().contains("no rows"));
    }
}
