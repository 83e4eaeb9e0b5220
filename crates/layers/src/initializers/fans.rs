//! Fans: how many units feed, and are fed by, one unit of a weight.

use sconce_core::{Error, Result};

/// (fan_in, fan_out) of a weight's shape, as Keras's `compute_fans`:
///
/// | shape | fan_in | fan_out |
/// |---|---|---|
/// | `[]` | 1 | 1 |
/// | `[n]` | n | n |
/// | `[in, out]` | in | out |
/// | `[..., in, out]`, a convolution kernel | in * product(...) | out * product(...) |
///
/// With both `input_axes` and `output_axes` the fans are the products of those axes instead
/// (negative axes count from the end). An axis that the shape does not have is an error.
pub fn fans(
    dims: &[usize],
    input_axes: Option<&[i64]>,
    output_axes: Option<&[i64]>,
) -> Result<(f64, f64)> {
    if let (Some(input), Some(output)) = (input_axes, output_axes) {
        return Ok((product(dims, "input_axes", input)?, product(dims, "output_axes", output)?));
    }
    let float = |n: &usize| *n as f64;
    Ok(match dims {
        [] => (1.0, 1.0),
        [n] => (float(n), float(n)),
        [receptive_field @ .., input, output] => {
            let field: f64 = receptive_field.iter().map(float).product();
            (float(input) * field, float(output) * field)
        }
    })
}

fn product(dims: &[usize], key: &str, axes: &[i64]) -> Result<f64> {
    let mut product = 1.0;
    for axis in axes {
        let index = if *axis < 0 { axis + dims.len() as i64 } else { *axis };
        let dim = usize::try_from(index).ok().and_then(|index| dims.get(index)).ok_or_else(|| {
            Error::layer(
                "",
                format!("{key} names the axis {axis}, which a weight of shape {dims:?} does not have"),
            )
        })?;
        product *= *dim as f64;
    }
    Ok(product)
}
