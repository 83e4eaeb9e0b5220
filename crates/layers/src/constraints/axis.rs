use sconce_core::{Error, Json, Result, Tensor};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

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

impl Serialize for Axis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::All => serializer.serialize_none(),
            Self::One(axis) => axis.serialize(serializer),
            Self::Several(axes) => axes.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Axis {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Json::deserialize(deserializer)?;
        let axis = match &json {
            Json::Null => Some(Self::All),
            Json::Number(axis) => axis.as_i64().map(Self::One),
            Json::Array(axes) => {
                axes.iter().map(Json::as_i64).collect::<Option<_>>().map(Self::Several)
            }
            _ => None,
        };
        axis.ok_or_else(|| {
            D::Error::custom(format!(
                "an axis is a whole number, a list of them, or null for all axes, found {json}"
            ))
        })
    }
}
