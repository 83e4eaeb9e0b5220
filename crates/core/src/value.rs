//! The values that configurations hold: numbers, words, lists, parts of a registry, and types of your
//! own that implement [`ConfigValue`].

use crate::json::{Json, shown};
use crate::part::Part;
use crate::registry::{Kind, unknown};
use crate::schema::{self, Definitions};
use crate::{Error, Result};
/// For the code that `#[config(serde)]` writes.
pub use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A value in a [`Config`](crate::Config). `#[derive(ConfigValue)]` writes it for an enum of words.
pub trait ConfigValue: Sized {
    /// Reads it. The path of an error is relative to the value.
    fn from_json(value: &Json) -> Result<Self>;

    /// Writes it.
    fn to_json(&self) -> Result<Json>;

    /// Its JSON Schema.
    fn schema(definitions: &mut Definitions) -> Json;
}

/// Values that hold numbers, for `#[config(range = "[0, 1]")]`.
pub trait Numbers {
    /// Whether the numbers are whole.
    const WHOLE: bool;

    /// The first number that passes a test.
    fn find_number(&self, test: &dyn Fn(f64) -> bool) -> Option<f64>;
}

/// "must be `expected`, found ...".
pub fn mismatch(expected: &str, found: &Json) -> Error {
    Error::config("", format!("must be {expected}, found {}", shown(found)))
}

macro_rules! whole_numbers {
    ($($ty:ty: $expected:literal $schema:tt;)*) => {$(
        impl ConfigValue for $ty {
            fn from_json(value: &Json) -> Result<Self> {
                whole(value)
                    .and_then(|number| number.try_into().ok())
                    .ok_or_else(|| mismatch($expected, value))
            }

            fn to_json(&self) -> Result<Json> {
                Ok((*self).into())
            }

            fn schema(_: &mut Definitions) -> Json {
                json!($schema)
            }
        }

        impl Numbers for $ty {
            const WHOLE: bool = true;

            fn find_number(&self, test: &dyn Fn(f64) -> bool) -> Option<f64> {
                Some(*self as f64).filter(|number| test(*number))
            }
        }
    )*};
}

whole_numbers! {
    usize: "a whole number of at least 0" {"type": "integer", "minimum": 0};
    u64: "a whole number of at least 0" {"type": "integer", "minimum": 0};
    u32: "a whole number from 0 to 4294967295" {"type": "integer", "minimum": 0, "maximum": u32::MAX};
    u8: "a whole number from 0 to 255" {"type": "integer", "minimum": 0, "maximum": u8::MAX};
    i64: "a whole number" {"type": "integer"};
    i32: "a whole number of 32 bits" {"type": "integer", "minimum": i32::MIN, "maximum": i32::MAX};
}

/// A whole number, also one that a writer who knows only floats has written: 7.0.
fn whole(value: &Json) -> Option<i128> {
    let exact = || value.as_i64().map(i128::from).or(value.as_u64().map(i128::from));
    let float = || value.as_f64().filter(|v| v.fract() == 0.0 && v.abs() <= 2f64.powi(53));
    exact().or_else(|| float().map(|v| v as i128))
}

macro_rules! floats {
    ($($ty:ty),*) => {$(
        impl ConfigValue for $ty {
            fn from_json(value: &Json) -> Result<Self> {
                value.as_f64().map(|v| v as $ty).ok_or_else(|| mismatch("a number", value))
            }

            fn to_json(&self) -> Result<Json> {
                if self.is_finite() {
                    return Ok((*self).into());
                }
                Err(Error::config("", format!("{self} cannot be written to JSON")))
            }

            fn schema(_: &mut Definitions) -> Json {
                json!({"type": "number"})
            }
        }

        impl Numbers for $ty {
            const WHOLE: bool = false;

            fn find_number(&self, test: &dyn Fn(f64) -> bool) -> Option<f64> {
                Some(f64::from(*self)).filter(|number| test(*number))
            }
        }
    )*};
}

floats!(f32, f64);

impl ConfigValue for bool {
    fn from_json(value: &Json) -> Result<Self> {
        value.as_bool().ok_or_else(|| mismatch("true or false", value))
    }

    fn to_json(&self) -> Result<Json> {
        Ok((*self).into())
    }

    fn schema(_: &mut Definitions) -> Json {
        json!({"type": "boolean"})
    }
}

impl ConfigValue for String {
    fn from_json(value: &Json) -> Result<Self> {
        value.as_str().map(str::to_string).ok_or_else(|| mismatch("a string", value))
    }

    fn to_json(&self) -> Result<Json> {
        Ok(self.as_str().into())
    }

    fn schema(_: &mut Definitions) -> Json {
        json!({"type": "string"})
    }
}

/// A file's path, as it is written on this system.
impl ConfigValue for PathBuf {
    fn from_json(value: &Json) -> Result<Self> {
        String::from_json(value).map(Self::from)
    }

    fn to_json(&self) -> Result<Json> {
        let not_text = || {
            let message = format!("the path {} is not text and cannot be written", self.display());
            Error::config("", message)
        };
        self.to_str().map(Json::from).ok_or_else(not_text)
    }

    fn schema(definitions: &mut Definitions) -> Json {
        String::schema(definitions)
    }
}

/// Any JSON.
impl ConfigValue for Json {
    fn from_json(value: &Json) -> Result<Self> {
        Ok(value.clone())
    }

    fn to_json(&self) -> Result<Json> {
        Ok(self.clone())
    }

    fn schema(_: &mut Definitions) -> Json {
        json!({})
    }
}

/// `null` is `None`.
impl<T: ConfigValue> ConfigValue for Option<T> {
    fn from_json(value: &Json) -> Result<Self> {
        if value.is_null() { Ok(None) } else { T::from_json(value).map(Some) }
    }

    fn to_json(&self) -> Result<Json> {
        self.as_ref().map_or(Ok(Json::Null), T::to_json)
    }

    fn schema(definitions: &mut Definitions) -> Json {
        schema::or_null(T::schema(definitions))
    }
}

impl<T: Numbers> Numbers for Option<T> {
    const WHOLE: bool = T::WHOLE;

    fn find_number(&self, test: &dyn Fn(f64) -> bool) -> Option<f64> {
        self.as_ref().and_then(|value| value.find_number(test))
    }
}

/// The value of an array, which Keras writes as `{"class_name": "__numpy__"` or `"__tensor__"`,
/// `"config": {"value": ..}}`; any other value as it is.
pub fn array_value(json: &Json) -> &Json {
    let array = json.get("class_name").is_some_and(|n| n == "__numpy__" || n == "__tensor__");
    json.get("config").and_then(|config| config.get("value")).filter(|_| array).unwrap_or(json)
}

impl<T: ConfigValue> ConfigValue for Vec<T> {
    fn from_json(value: &Json) -> Result<Self> {
        let items = array_value(value).as_array().ok_or_else(|| mismatch("a list", value))?;
        let item = |(i, item)| T::from_json(item).map_err(|e| e.under(&format!("[{i}]")));
        items.iter().enumerate().map(item).collect()
    }

    fn to_json(&self) -> Result<Json> {
        let item = |(i, item): (usize, &T)| item.to_json().map_err(|e| e.under(&format!("[{i}]")));
        self.iter().enumerate().map(item).collect()
    }

    fn schema(definitions: &mut Definitions) -> Json {
        json!({"type": "array", "items": T::schema(definitions)})
    }
}

impl<T: Numbers> Numbers for Vec<T> {
    const WHOLE: bool = T::WHOLE;

    fn find_number(&self, test: &dyn Fn(f64) -> bool) -> Option<f64> {
        self.iter().find_map(|value| value.find_number(test))
    }
}

/// Values by name, in the order of the names.
impl<T: ConfigValue> ConfigValue for BTreeMap<String, T> {
    fn from_json(value: &Json) -> Result<Self> {
        let members = value.as_object().ok_or_else(|| mismatch("an object", value))?;
        let member = |(name, member): (&String, &Json)| {
            Ok((name.clone(), T::from_json(member).map_err(|e| e.under(name))?))
        };
        members.iter().map(member).collect()
    }

    fn to_json(&self) -> Result<Json> {
        let member = |(name, member): (&String, &T)| {
            Ok((name.clone(), member.to_json().map_err(|e| e.under(name))?))
        };
        self.iter().map(member).collect::<Result<_>>().map(Json::Object)
    }

    fn schema(definitions: &mut Definitions) -> Json {
        json!({"type": "object", "additionalProperties": T::schema(definitions)})
    }
}

impl ConfigValue for crate::Dims {
    fn from_json(value: &Json) -> Result<Self> {
        Vec::from_json(value).map(Self)
    }

    fn to_json(&self) -> Result<Json> {
        self.0.to_json()
    }

    fn schema(definitions: &mut Definitions) -> Json {
        Vec::<Option<usize>>::schema(definitions)
    }
}

impl<K: Kind> ConfigValue for Part<K> {
    fn from_json(value: &Json) -> Result<Self> {
        Part::from_json(value)
    }

    fn to_json(&self) -> Result<Json> {
        Part::to_json(self)
    }

    fn schema(definitions: &mut Definitions) -> Json {
        definitions.part::<K>()
    }
}

/// The words of an enum, each with the name it is written as and the other names it is read from.
pub type Words<T> = [(T, &'static str, &'static [&'static str])];

/// Reads an enum of words, for the code that `#[derive(ConfigValue)]` writes.
pub fn word<T: Copy>(value: &Json, words: &Words<T>) -> Result<T> {
    let names = words.iter().map(|(_, name, _)| *name);
    let Some(found) = value.as_str() else {
        let names: Vec<String> = names.map(|name| format!("\"{name}\"")).collect();
        return Err(mismatch(&format!("one of {}", names.join(", ")), value));
    };
    words
        .iter()
        .find(|(_, name, aliases)| *name == found || aliases.contains(&found))
        .map(|(variant, ..)| *variant)
        .ok_or_else(|| Error::config("", unknown("value", found, names)))
}

/// The JSON Schema of an enum of words.
pub fn words_schema<T>(words: &Words<T>) -> Json {
    let names: Vec<&str> = words
        .iter()
        .flat_map(|(_, name, aliases)| std::iter::once(name).chain(*aliases))
        .copied()
        .collect();
    json!({"enum": names})
}

/// `Serialize` for a value, which `#[config(serde)]` writes.
pub fn serialize<T: ConfigValue, S: Serializer>(
    value: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    value.to_json().map_err(serde::ser::Error::custom)?.serialize(serializer)
}

/// `Deserialize` for a value, which `#[config(serde)]` writes.
pub fn deserialize<'de, T: ConfigValue, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    T::from_json(&Json::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}
