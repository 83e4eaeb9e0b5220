use sconce_core::schema::Definitions;
use sconce_core::value::mismatch;
use sconce_core::{ConfigValue, Error, Json, Result, Tensor};
use serde_json::json;

/// The axes along which norms are taken; negative ones count from the end. For a dense kernel
/// `[in, out]` the axis 0 gives the norm of each unit's incoming weights; for a convolution kernel
/// `[height, width, in, out]` the axes `[0, 1, 2]` do. In JSON a whole number, a list of them, or
/// `null` for all axes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Axis {
    /// All axes: one norm for the whole weight.
    All,
    /// One axis.
    One(i64),
    /// Several axes.
    Several(Vec<i64>),
}

impl Default for Axis {
    fn default() -> Self {
        Self::One(0)
    }
}

impl From<i64> for Axis {
    fn from(axis: i64) -> Self {
        Self::One(axis)
    }
}

impl<const N: usize> From<[i64; N]> for Axis {
    fn from(axes: [i64; N]) -> Self {
        Self::Several(axes.to_vec())
    }
}

impl Axis {
    /// The Euclidean norms of a weight along these axes, which stay, with length 1.
    pub(super) fn norms(&self, weight: &Tensor) -> Result<Tensor> {
        let mut norms = weight.sqr()?;
        for axis in self.resolve(weight.dims())? {
            norms = norms.sum_keepdim(axis)?;
        }
        Ok(norms.sqrt()?)
    }

    fn resolve(&self, dims: &[usize]) -> Result<Vec<usize>> {
        let axes = match self {
            Self::All => return Ok((0..dims.len()).collect()),
            Self::One(axis) => std::slice::from_ref(axis),
            Self::Several(axes) => axes,
        };
        let resolve = |axis: &i64| {
            let index = if *axis < 0 { axis + dims.len() as i64 } else { *axis };
            usize::try_from(index).ok().filter(|index| *index < dims.len()).ok_or_else(|| {
                Error::layer(
                    "",
                    format!("a constraint names the axis {axis}, which a weight of shape {dims:?} does not have"),
                )
            })
        };
        axes.iter().map(resolve).collect()
    }
}

impl ConfigValue for Axis {
    fn from_json(value: &Json) -> Result<Self> {
        if value.is_null() {
            return Ok(Self::All);
        }
        let axis = match value.is_array() {
            true => Vec::from_json(value).map(Self::Several),
            false => i64::from_json(value).map(Self::One),
        };
        axis.map_err(|_| mismatch("a whole number, a list of them, or null for all axes", value))
    }

    fn to_json(&self) -> Result<Json> {
        match self {
            Self::All => Ok(Json::Null),
            Self::One(axis) => axis.to_json(),
            Self::Several(axes) => axes.to_json(),
        }
    }

    fn schema(_: &mut Definitions) -> Json {
        json!({"type": ["integer", "array", "null"], "items": {"type": "integer"}})
    }
}
