//! Checks of training data before the first step, with messages a user can act on.

use candle_core::{Storage, WithDType};
use sconce_core::{DType, Device, Error, Result, Tensor};

/// The number of rows of named arrays, all of which must have the same, at least one.
///
/// # Errors
/// No rows, no axis at all, or different numbers of rows (both names and lengths are given).
pub fn rows<'a>(arrays: impl IntoIterator<Item = (&'a str, &'a Tensor)>) -> Result<usize> {
    let mut first: Option<(&str, usize)> = None;
    for (name, array) in arrays {
        let Some(&rows) = array.dims().first() else {
            return Err(Error::data(format!(
                "{name} is a single number; an array of data has its rows (samples) on its first axis"
            )));
        };
        if rows == 0 {
            return Err(Error::data(format!(
                "{name} has no rows (its shape is {:?}); at least one is needed",
                array.dims()
            )));
        }
        match first {
            None => first = Some((name, rows)),
            Some((other, wanted)) if wanted != rows => {
                return Err(Error::data(format!(
                    "{other} has {wanted} rows, {name} has {rows}; give every array one row for \
                     each sample"
                )));
            }
            Some(_) => {}
        }
    }
    let (_, rows) = first.ok_or_else(|| Error::data("no arrays were given"))?;
    Ok(rows)
}

/// Every value of an array is finite. Integers always are.
///
/// # Errors
/// Names the array, the place and value of the first that is not finite, and how many there are.
pub fn finite(name: &str, array: &Tensor) -> Result<()> {
    if !array.dtype().is_float() {
        return Ok(());
    }
    // A view of a few rows of a large tensor is flattened by copying only those rows.
    let flat = array.detach().to_device(&Device::Cpu)?.flatten_all()?.contiguous()?;
    let place = match flat.dtype() {
        DType::F32 => scan(&flat, |v: f32| v.to_bits() & 0x7f80_0000 == 0x7f80_0000)?,
        DType::F64 => {
            let exponent = 0x7ff0_0000_0000_0000;
            scan(&flat, move |v: f64| v.to_bits() & exponent == exponent)?
        }
        _ => scan(&flat.to_dtype(DType::F32)?, |v: f32| !v.is_finite())?,
    };
    let Some(Place { first, value, count }) = place else { return Ok(()) };
    let others = match count {
        1 => "the only value that is not finite".to_string(),
        _ => format!("one of {count} values that are not finite"),
    };
    Err(Error::data(format!(
        "{name} holds {value} at {}, {others}; remove such rows or fill them in",
        index(first, array.dims())
    )))
}

/// Every value of an `F64` array is within the range of `F32`, in which models compute.
///
/// # Errors
/// Names the array, and the place and value of the first that is not.
pub fn within_f32(name: &str, array: &Tensor) -> Result<()> {
    if array.dtype() != DType::F64 {
        return Ok(());
    }
    let flat = array.detach().to_device(&Device::Cpu)?.flatten_all()?.contiguous()?;
    let place = scan(&flat, |v: f64| v.is_finite() && (v as f32).is_infinite())?;
    let Some(Place { first, value, .. }) = place else { return Ok(()) };
    Err(Error::data(format!(
        "{name} holds {value:e} at {}, beyond {:e}, the largest float32, in which models compute; \
         scale the data down",
        index(first, array.dims()),
        f32::MAX
    )))
}

/// The batch size can be used.
///
/// # Errors
/// A batch size of 0.
pub fn batch_size(batch_size: usize) -> Result<()> {
    if batch_size == 0 {
        return Err(Error::data("batch_size is 0; it must be at least 1 (32 is usual)"));
    }
    Ok(())
}

/// All checks of `fit` at once: inputs `x`, targets `y` and sample weights have the same number of
/// rows and finite values that an `F32` can hold. Returns the number of rows.
///
/// # Errors
/// As [`rows`], [`finite`] and [`within_f32`]; an array is named `x`, or `x[1]` where there are several.
pub fn training_data(x: &[Tensor], y: &[Tensor], sample_weight: Option<&Tensor>) -> Result<usize> {
    let mut arrays = Vec::new();
    for (name, group) in [("x", x), ("y", y)] {
        for (i, array) in group.iter().enumerate() {
            let name = if group.len() == 1 { name.to_string() } else { format!("{name}[{i}]") };
            arrays.push((name, array));
        }
    }
    arrays.extend(sample_weight.map(|array| ("sample_weight".to_string(), array)));
    let count = rows(arrays.iter().map(|(name, array)| (name.as_str(), *array)))?;
    for (name, array) in &arrays {
        finite(name, array)?;
        within_f32(name, array)?;
    }
    Ok(count)
}

struct Place {
    first: usize,
    value: f64,
    count: usize,
}

/// Counts the values that are `bad`, chunk by chunk, in a loop the compiler vectorises.
fn scan<T: WithDType + Into<f64>>(flat: &Tensor, bad: impl Fn(T) -> bool) -> Result<Option<Place>> {
    let (storage, layout) = flat.storage_and_layout();
    let Storage::Cpu(storage) = &*storage else {
        return Err(Error::data("the check for finite values reads arrays on the CPU only"));
    };
    let start = layout.start_offset();
    let all = storage.as_slice::<T>()?;
    let values = all.get(start..start + layout.shape().elem_count()).unwrap_or(all);
    let mut place: Option<Place> = None;
    for (chunk, at) in values.chunks(4096).zip((0..).step_by(4096)) {
        let count = chunk.iter().map(|&v| u32::from(bad(v))).sum::<u32>() as usize;
        if count == 0 {
            continue;
        }
        match &mut place {
            Some(place) => place.count += count,
            None => {
                let within = chunk.iter().position(|&v| bad(v)).unwrap_or(0);
                let value = chunk.get(within).map_or(f64::NAN, |&v| v.into());
                place = Some(Place { first: at + within, value, count });
            }
        }
    }
    Ok(place)
}

/// "row 3", "row 3, column 1", or "index [3, 0, 1]" of a flat position.
fn index(mut flat: usize, dims: &[usize]) -> String {
    let mut index: Vec<usize> = Vec::with_capacity(dims.len());
    for &axis in dims.iter().rev() {
        index.push(flat % axis.max(1));
        flat /= axis.max(1);
    }
    index.reverse();
    match index[..] {
        [row] => format!("row {row}"),
        [row, column] => format!("row {row}, column {column}"),
        _ => format!("index {index:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ToTensor;
    use std::slice::from_ref;

    fn message<T: std::fmt::Debug>(result: Result<T>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn lengths_are_named() {
        let x = vec![[0f32; 3]; 5].to_tensor().unwrap();
        let y = vec![0i64; 4].to_tensor().unwrap();
        assert_eq!(rows([("x", &x), ("more", &x)]).unwrap(), 5);
        let text = message(training_data(from_ref(&x), from_ref(&y), None));
        assert!(text.contains("x has 5 rows, y has 4"), "{text}");
        let text = message(training_data(&[x.clone(), x.clone()], &[], Some(&y)));
        assert!(text.contains("x[0] has 5 rows, sample_weight has 4"), "{text}");
    }

    #[test]
    fn nothing_is_not_data() {
        let empty = Vec::<f32>::new().to_tensor().unwrap();
        assert!(message(rows([("x", &empty)])).contains("x has no rows (its shape is [0])"));
        let scalar = ndarray::arr0(1f32).to_tensor().unwrap();
        assert!(message(rows([("y", &scalar)])).contains("y is a single number"));
        assert!(message(rows([])).contains("no arrays"));
        assert!(message(batch_size(0)).contains("batch_size is 0"));
        batch_size(1).unwrap();
    }

    #[test]
    fn the_first_bad_value_is_found() {
        let mut values = ndarray::Array2::<f32>::from_elem((3000, 7), -1e38);
        values[[0, 0]] = f32::MAX;
        values[[1, 1]] = f32::from_bits(1);
        finite("x", &values.to_tensor().unwrap()).unwrap();
        values[[2999, 6]] = f32::NEG_INFINITY;
        let text = message(finite("x", &values.to_tensor().unwrap()));
        assert!(text.contains("x holds -inf at row 2999, column 6, the only value"), "{text}");
        values[[1234, 5]] = f32::NAN;
        let tensor = values.to_tensor().unwrap();
        let text = message(finite("x", &tensor));
        assert!(text.contains("NaN at row 1234, column 5, one of 2 values"), "{text}");
        // Views are read where they lie.
        finite("x", &tensor.narrow(0, 0, 1234).unwrap()).unwrap();
        let text = message(finite("x", &tensor.narrow(0, 1230, 10).unwrap()));
        assert!(text.contains("row 4, column 5, the only value"), "{text}");
        let text = message(finite("x", &tensor.t().unwrap()));
        assert!(text.contains("row 5, column 1234"), "{text}");
        let text = message(finite("y", &tensor.reshape((1500, 2, 7)).unwrap()));
        assert!(text.contains("index [617, 0, 5]"), "{text}");
        let text = message(finite("y", &tensor.to_dtype(DType::F64).unwrap()));
        assert!(text.contains("NaN at row 1234, column 5, one of 2"), "{text}");
        let half = tensor.to_dtype(DType::F16).unwrap().narrow(0, 1234, 1).unwrap();
        assert!(message(finite("y", &half)).contains("one of 7 values"));
        finite("y", &vec![i64::MAX].to_tensor().unwrap()).unwrap();
        let weight = vec![1.0, f32::INFINITY].to_tensor().unwrap();
        let y = vec![1, 2].to_tensor().unwrap();
        let text = message(training_data(from_ref(&y), from_ref(&y), Some(&weight)));
        assert!(text.contains("sample_weight holds inf at row 1,"), "{text}");
    }

    #[test]
    fn values_beyond_f32_are_shown_as_they_are() {
        let x = [[1.0, 2.0], [3.0, -1e300]].to_tensor().unwrap();
        let y = [0i64, 1].to_tensor().unwrap();
        let text = message(training_data(from_ref(&x), from_ref(&y), None).map(drop));
        assert!(text.contains("x holds -1e300 at row 1, column 1, beyond 3.4028235e38"), "{text}");
        within_f32("x", &[f64::from(f32::MAX), 1e-300].to_tensor().unwrap()).unwrap();
        within_f32("x", &[f64::INFINITY].to_tensor().unwrap()).unwrap();
    }
}
