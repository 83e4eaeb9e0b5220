//! Changes of the lengths of spatial axes: what cropping, padding and upsampling share.

use crate::DataFormat;
use sconce_core::schema::Definitions;
use sconce_core::value::mismatch;
use sconce_core::{ConfigValue, Dims, Error, Json, Result, Spec};
use serde_json::json;

/// The first of `count` spatial axes of an input, which must have as many.
pub fn first_axis(
    rank: usize,
    count: usize,
    format: DataFormat,
    class_name: &str,
) -> Result<usize> {
    if rank != count + 2 {
        let message = format!("{class_name} takes inputs of {} axes, got {rank}", count + 2);
        return Err(Error::layer("", message));
    }
    Ok(if format == DataFormat::ChannelsLast { 1 } else { 2 })
}

/// The shape of inputs whose spatial axes `length(axis, length)` changes, where they are known.
pub fn resized(
    x: &Spec,
    count: usize,
    format: DataFormat,
    class_name: &str,
    length: impl Fn(usize, usize) -> Option<usize>,
) -> Result<Vec<Spec>> {
    let first = first_axis(x.dims.rank(), count, format, class_name)?;
    let axis = |(i, len): (usize, &Option<usize>)| match (i.checked_sub(first), len) {
        (Some(axis), Some(len)) if axis < count => length(axis, *len).map(Some).ok_or_else(|| {
            let message =
                format!("{class_name} leaves nothing, or too much, of inputs of shape {}", x.dims);
            Error::layer("", message)
        }),
        (_, len) => Ok(*len),
    };
    let dims = x.dims.0.iter().enumerate().map(axis).collect::<Result<_>>()?;
    Ok(vec![x.with_dims(Dims(dims))])
}

/// How much is added or taken before and after each of some axes: `1` for all, `[1, 2]` for both sides
/// of each (for one axis: before and after), or `[[1, 0], [2, 2]]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Margins<const N: usize>(pub [[usize; 2]; N]);

impl<const N: usize> From<usize> for Margins<N> {
    fn from(all: usize) -> Self {
        Self([[all, all]; N])
    }
}

impl From<[usize; 2]> for Margins<1> {
    fn from(sides: [usize; 2]) -> Self {
        Self([sides])
    }
}

impl<const N: usize> From<[[usize; 2]; N]> for Margins<N> {
    fn from(sides: [[usize; 2]; N]) -> Self {
        Self(sides)
    }
}

impl From<[usize; 2]> for Margins<2> {
    fn from(axes: [usize; 2]) -> Self {
        Self(axes.map(|both| [both, both]))
    }
}

impl From<[usize; 3]> for Margins<3> {
    fn from(axes: [usize; 3]) -> Self {
        Self(axes.map(|both| [both, both]))
    }
}

/// A whole number for both, or a list of two.
fn sides(value: &Json) -> Option<[usize; 2]> {
    match value {
        Json::Array(items) => {
            let [before, after] = items.as_slice() else { return None };
            Some([usize::from_json(before).ok()?, usize::from_json(after).ok()?])
        }
        both => usize::from_json(both).ok().map(|both| [both, both]),
    }
}

impl<const N: usize> ConfigValue for Margins<N> {
    fn from_json(value: &Json) -> Result<Self> {
        let found = match value {
            Json::Array(items) if N > 1 => {
                let axes: Option<Vec<[usize; 2]>> = items.iter().map(sides).collect();
                axes.and_then(|axes| axes.try_into().ok())
            }
            one => sides(one).map(|sides| [sides; N]),
        };
        found.map(Self).ok_or_else(|| {
            let expected = match N {
                1 => "a whole number of at least 0, or a list of two".to_string(),
                _ => format!("a whole number of at least 0, or a list of {N} numbers or pairs"),
            };
            mismatch(&expected, value)
        })
    }

    fn to_json(&self) -> Result<Json> {
        Ok(match self.0.as_slice() {
            [one] => json!(one),
            axes => json!(axes),
        })
    }

    fn schema(_: &mut Definitions) -> Json {
        let length = json!({"type": "integer", "minimum": 0});
        let both = json!({"type": "array", "items": length, "minItems": 2, "maxItems": 2});
        let list = match N {
            1 => both,
            _ => json!({
                "type": "array", "items": {"anyOf": [length, both]}, "minItems": N, "maxItems": N,
            }),
        };
        json!({"anyOf": [length, list]})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn margins_come_in_keras_forms() {
        let read = |json: Json| Margins::<2>::from_json(&json).map(|margins| margins.0);
        assert_eq!(read(json!(1)).unwrap(), [[1, 1], [1, 1]]);
        assert_eq!(read(json!([1, 2])).unwrap(), [[1, 1], [2, 2]]);
        assert_eq!(read(json!([[1, 0], 3])).unwrap(), [[1, 0], [3, 3]]);
        assert_eq!(Margins::from([1, 2]), Margins([[1, 1], [2, 2]]));
        let one = Margins::<1>::from_json(&json!([1, 2])).unwrap();
        assert_eq!((one.0, one.to_json().unwrap()), ([[1, 2]], json!([1, 2])));
        for wrong in [json!(-1), json!([1]), json!([1, 2, 3]), json!([[1], 2]), json!("a")] {
            assert!(read(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
