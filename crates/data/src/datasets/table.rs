//! The format of the small tables: whole numbers of three bytes, over a power of ten a column.

use super::{Table, Target};

/// Rows of `decimals.len()` columns, the target last (`make_datasets.py` describes the bytes).
fn values(bytes: &[u8], decimals: &[u32]) -> Vec<f64> {
    let (numbers, _) = bytes.as_chunks::<3>();
    let whole = numbers
        .iter()
        .map(|[low, middle, high]| f64::from(u32::from_le_bytes([*low, *middle, *high, 0])));
    // A quotient of two exact numbers is the f64 nearest to the decimal number.
    whole.zip(decimals.iter().cycle()).map(|(v, d)| v / 10f64.powi(*d as i32)).collect()
}

/// The features in f64, and the target column.
pub(super) fn columns(bytes: &[u8], decimals: &[u32]) -> (Vec<f64>, Vec<f64>) {
    let mut x = Vec::new();
    let mut y = Vec::new();
    for row in values(bytes, decimals).chunks_exact(decimals.len().max(1)) {
        if let Some((target, features)) = row.split_last() {
            x.extend_from_slice(features);
            y.push(*target);
        }
    }
    (x, y)
}

/// A table whose target are classes.
pub(super) fn classes(bytes: &[u8], decimals: &[u32], names: &'static [&'static str]) -> Table {
    let (x, y) = columns(bytes, decimals);
    Table {
        x: x.iter().map(|v| *v as f32).collect(),
        features: decimals.len() - 1,
        target: Target::Classes(y.iter().map(|v| *v as i64).collect(), names),
    }
}
