//! Whether values are finite, on any device.

use crate::{DType, Result, Tensor};

/// 0 where a value is finite, NaN where it is not.
fn marked(x: &Tensor) -> Result<Tensor> {
    let x = x.detach();
    let x = if x.dtype() == DType::F64 { x } else { x.to_dtype(DType::F32)? };
    Ok((x * 0.0)?)
}

/// Whether every value of an array is finite; integers always are. Reads one number from the device.
pub fn is_finite(x: &Tensor) -> Result<bool> {
    if !x.dtype().is_float() {
        return Ok(true);
    }
    Ok(marked(x)?.sum_all()?.to_dtype(DType::F32)?.to_scalar::<f32>()? == 0.0)
}

/// The rows (of the first axis) with a value that is not finite. A single number is row 0.
pub fn non_finite_rows(x: &Tensor) -> Result<Vec<usize>> {
    if !x.dtype().is_float() || x.elem_count() == 0 {
        return Ok(Vec::new());
    }
    let rows = x.dims().first().copied().unwrap_or(1);
    let sums = marked(x)?.reshape((rows, ()))?.sum(1)?.to_dtype(DType::F32)?.to_vec1::<f32>()?;
    Ok((0..rows).zip(sums).filter(|(_, sum)| *sum != 0.0).map(|(row, _)| row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Device;

    #[test]
    fn rows_are_found_in_any_type_and_shape() {
        let mut values = vec![1.0f64; 12];
        (values[5], values[11]) = (f64::NAN, f64::NEG_INFINITY);
        let x = Tensor::from_vec(values, (3, 2, 2), &Device::Cpu).unwrap();
        for dtype in [DType::F64, DType::F32, DType::F16, DType::BF16] {
            let x = x.to_dtype(dtype).unwrap();
            assert_eq!(non_finite_rows(&x).unwrap(), [1, 2], "{dtype:?}");
            assert!(!is_finite(&x).unwrap() && is_finite(&x.narrow(0, 0, 1).unwrap()).unwrap());
        }
        // Beyond an f32, and finite.
        let large = Tensor::new(&[1e300f64, 1.0], &Device::Cpu).unwrap();
        assert!(is_finite(&large).unwrap() && non_finite_rows(&large).unwrap().is_empty());
        let one = Tensor::new(f32::INFINITY, &Device::Cpu).unwrap();
        assert_eq!(non_finite_rows(&one).unwrap(), [0]);
        let none = Tensor::zeros((2, 0), DType::F32, &Device::Cpu).unwrap();
        assert!(non_finite_rows(&none).unwrap().is_empty());
        let integers = Tensor::new(&[i64::MAX], &Device::Cpu).unwrap();
        assert!(is_finite(&integers).unwrap() && non_finite_rows(&integers).unwrap().is_empty());
    }
}
