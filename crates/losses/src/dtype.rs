//! The `dtype` key that Keras writes for losses and metrics.

use sconce_core::{DTypePolicy, Error, Json};
use serde::{Deserialize, Deserializer, de};

/// The type a loss or metric computes in: float32, which is all there is. Written as nothing, since
/// it is Keras's default; read from `null`, `"float32"`, or a serialized policy of that name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Float32;

impl<'de> Deserialize<'de> for Float32 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match DTypePolicy::from_json(&Json::deserialize(deserializer)?) {
            Ok(_) => Ok(Self),
            Err(Error::Config { message, .. }) => Err(de::Error::custom(message)),
            Err(error) => Err(de::Error::custom(error)),
        }
    }
}
