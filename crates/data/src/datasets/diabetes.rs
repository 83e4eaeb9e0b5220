//! Diabetes: 442 patients, 10 baseline variables (age, sex, body mass index, blood pressure, six
//! blood serum measures), and the progression of the disease after one year, 25 to 346, to be
//! predicted. B. Efron, T. Hastie, I. Johnstone, R. Tibshirani, "Least angle regression", Annals of
//! Statistics 32 (2004).

use super::{Table, Target, table};

const DECIMALS: [u32; 11] = [0, 0, 1, 2, 0, 1, 1, 2, 4, 0, 0];

/// Each feature is centred and scaled to a sum of squares of 1, as in the paper and scikit-learn.
pub(super) fn load() -> Table {
    let features = DECIMALS.len() - 1;
    let (mut x, y) = table::columns(include_bytes!("files/diabetes.bin"), &DECIMALS);
    for column in 0..features {
        let values = || x.iter().skip(column).step_by(features);
        let mean = values().sum::<f64>() / y.len() as f64;
        let norm = values().map(|v| (v - mean).powi(2)).sum::<f64>().sqrt();
        x.iter_mut().skip(column).step_by(features).for_each(|v| *v = (*v - mean) / norm);
    }
    Table {
        x: x.iter().map(|v| *v as f32).collect(),
        features,
        target: Target::Values(y.iter().map(|v| *v as f32).collect()),
    }
}
