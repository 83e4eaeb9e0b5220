//! Axes in configurations: one number or several; negative ones count from the end.

use crate::schema::Definitions;
use crate::value::mismatch;
use crate::{ConfigValue, Dims, Error, Json, Result};
use serde_json::json;

/// One axis or several, as Keras takes them. The batch axis is 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Axes {
    /// One: `-1`.
    One(i64),
    /// Several: `[1, 2]`.
    Many(Vec<i64>),
}

impl Axes {
    /// As they were given.
    pub fn as_slice(&self) -> &[i64] {
        match self {
            Self::One(axis) => std::slice::from_ref(axis),
            Self::Many(axes) => axes,
        }
    }

    /// Their positions in inputs of a rank, in ascending order.
    pub fn positions(&self, rank: usize) -> Result<Vec<usize>> {
        let mut positions =
            self.as_slice().iter().map(|axis| position(*axis, rank)).collect::<Result<Vec<_>>>()?;
        positions.sort_unstable();
        if positions.windows(2).any(|pair| pair[0] == pair[1]) {
            let message = format!(
                "the axes {:?} name one axis twice in inputs of {rank} axes",
                self.as_slice()
            );
            return Err(Error::layer("", message));
        }
        Ok(positions)
    }
}

/// The position of an axis that may count from the end.
pub fn position(axis: i64, rank: usize) -> Result<usize> {
    let from_start = if axis < 0 { axis.saturating_add_unsigned(rank as u64) } else { axis };
    usize::try_from(from_start).ok().filter(|position| *position < rank).ok_or_else(|| {
        Error::layer("", format!("axis {axis} does not exist in inputs of {rank} axes"))
    })
}

/// The length of an axis, which must be known.
pub fn known(dims: &Dims, position: usize) -> Result<usize> {
    dims.0.get(position).copied().flatten().ok_or_else(|| {
        let message = format!("axis {position} must be known, the input shape is {dims}");
        Error::layer("", message)
    })
}

impl From<i64> for Axes {
    fn from(axis: i64) -> Self {
        Self::One(axis)
    }
}

impl<const N: usize> From<[i64; N]> for Axes {
    fn from(axes: [i64; N]) -> Self {
        Self::Many(axes.to_vec())
    }
}

impl ConfigValue for Axes {
    fn from_json(value: &Json) -> Result<Self> {
        match value {
            Json::Array(_) => Vec::from_json(value).map(Self::Many),
            _ => i64::from_json(value)
                .map(Self::One)
                .map_err(|_| mismatch("a whole number or a list of them", value)),
        }
    }

    fn to_json(&self) -> Result<Json> {
        match self {
            Self::One(axis) => axis.to_json(),
            Self::Many(axes) => axes.to_json(),
        }
    }

    fn schema(_: &mut Definitions) -> Json {
        json!({"type": ["integer", "array"], "items": {"type": "integer"}})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_count_from_either_end_and_exist() {
        assert_eq!(Axes::One(-1).positions(3).unwrap(), [2]);
        assert_eq!(Axes::from([-1, 1]).positions(4).unwrap(), [1, 3]);
        for (axes, message) in [
            (Axes::One(3), "axis 3 does not exist in inputs of 3 axes"),
            (Axes::One(i64::MIN), "does not exist"),
            (Axes::from([2, -1]), "the axes [2, -1] name one axis twice"),
        ] {
            let error = axes.positions(3).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn json_keeps_the_form() {
        for json in [json!(-1), json!([1, 2]), json!([])] {
            assert_eq!(Axes::from_json(&json).unwrap().to_json().unwrap(), json);
        }
        let error = Axes::from_json(&json!("last")).unwrap_err().to_string();
        assert!(error.contains("must be a whole number or a list of them"), "{error}");
    }
}
