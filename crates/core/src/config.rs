//! Configurations: what `#[derive(Config)]` writes for a struct, and the helpers its code calls.
//!
//! Separation of concerns: [`Config`] is a struct as Keras's `config` object, [`ConfigValue`](crate::ConfigValue)
//! one value in it, [`Definitions`] collects the JSON Schema of both.

use crate::json::{Map, shown};
use crate::registry::unknown;
use crate::schema::{self, Definitions};
use crate::value::{Numbers, mismatch};
use crate::{DTypePolicy, Error, Json, Result};
use serde::de::Error as _;
/// For the code that `#[config(serde)]` writes.
pub use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A struct that is the configuration of an object: the arguments of a Keras class.
///
/// `#[derive(Config)]` writes it, together with `new`, `Default` (where no argument is required) and
/// one builder method for each argument that has a default. See [`sconce_derive::Config`] for the
/// attributes.
pub trait Config: Sized + Send + Sync + 'static {
    /// Keras's class name.
    const CLASS_NAME: &'static str;
    /// Keras's module, if it is not that of the kind.
    const MODULE: Option<&'static str> = None;
    /// The name that a type of the user's own is registered under: `my_package>ClassName`.
    const REGISTERED: Option<&'static str> = None;
    /// The doc comment of the struct.
    const DOC: &'static str;
    /// The arguments, in the order they are written in.
    const FIELDS: &'static [Field];
    /// Keys that are accepted with one value only.
    const FIXED: &'static [Fixed] = &[];
    /// Arguments that other configurations have too, which stand before the struct's own.
    const FLATTENED: &'static [Flattened] = &[];

    /// Reads a `config` object. Keys that are left out have their defaults.
    ///
    /// # Errors
    /// Unknown keys, with the nearest known one; required keys that are missing; a value of the wrong
    /// type or out of range. Paths are relative to the object.
    fn from_config(config: &Map) -> Result<Self>;

    /// The complete `config` object as Keras writes it, in the order of the fields.
    ///
    /// # Errors
    /// A part that is code of your own, or a number that is not finite.
    fn to_config(&self) -> Result<Map>;

    /// Refuses numbers outside the ranges of their fields.
    fn check_ranges(&self) -> Result<()> {
        Ok(())
    }

    /// The JSON Schema of the `config` object: types, ranges, defaults, and doc comments as descriptions.
    fn schema(definitions: &mut Definitions) -> Json {
        schema::of_config::<Self>(definitions)
    }
}

/// A configuration of the user's own, which files name by a registered name. `#[config(package = "my_package")]`
/// writes it, in the manner of `@keras.saving.register_keras_serializable(package="my_package")`.
pub trait Registered: Config {
    /// `my_package>ClassName`.
    const REGISTERED_NAME: &'static str;
}

/// One argument of a configuration.
pub struct Field {
    /// Keras's key.
    pub key: &'static str,
    /// The doc comment.
    pub doc: &'static str,
    /// The JSON Schema of the value.
    pub schema: fn(&mut Definitions) -> Json,
    /// The default; none for a required argument.
    pub default: Option<fn() -> Result<Json>>,
    /// The range of numbers.
    pub range: Option<Range>,
    /// Whether `null` is accepted besides what the type accepts.
    pub null: bool,
}

/// The arguments of another configuration among those of this one: `#[config(flatten)]`.
pub struct Flattened {
    /// The arguments.
    pub fields: &'static [Field],
    /// Their defaults here.
    pub defaults: fn() -> Result<Map>,
}

/// A key that is accepted with one value only.
pub enum Fixed {
    /// Exactly this value.
    Only {
        /// Keras's key.
        key: &'static str,
        /// The value.
        value: fn() -> Json,
        /// Whether it is written, after the arguments.
        written: bool,
    },
    /// `dtype`: `null`, `"float32"`, or a dtype policy of that name; not written.
    Dtype,
}

impl Fixed {
    /// Keras's key.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Only { key, .. } => key,
            Self::Dtype => "dtype",
        }
    }

    fn check(&self, found: &Json) -> Result<()> {
        match self {
            Self::Only { value, .. } if *found == value() => Ok(()),
            Self::Only { value, .. } => {
                let message = format!("must be {}, found {}", value(), shown(found));
                Err(Error::config("", message))
            }
            Self::Dtype => DTypePolicy::from_json(found).map(drop),
        }
    }
}

/// A range of finite numbers, in the interval notation of `#[config(range = "[0, inf)")]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// The lower bound, or minus infinity.
    pub low: f64,
    /// Whether the lower bound is outside.
    pub low_open: bool,
    /// The upper bound, or infinity.
    pub high: f64,
    /// Whether the upper bound is outside.
    pub high_open: bool,
}

impl Range {
    /// Whether a number is inside.
    pub fn contains(&self, number: f64) -> bool {
        let above = if self.low_open { number > self.low } else { number >= self.low };
        let below = if self.high_open { number < self.high } else { number <= self.high };
        above && below
    }

    /// Refuses a value that holds a number outside.
    pub fn check<T: Numbers>(&self, key: &str, value: &T) -> Result<()> {
        match value.find_number(&|number| !self.contains(number)) {
            None => Ok(()),
            Some(number) => {
                let expected = self.describe(T::WHOLE);
                Err(Error::config(key, format!("must be {expected}, found {number}")))
            }
        }
    }

    /// "a number of at least 0".
    fn describe(&self, whole: bool) -> String {
        let low = if self.low_open { "above" } else { "of at least" };
        let high = if self.high_open { "below" } else { "at most" };
        let kind = if whole { "a whole number" } else { "a number" };
        match (self.low.is_finite(), self.high.is_finite()) {
            (false, false) => "a finite number".to_string(),
            (true, false) => format!("{kind} {low} {}", self.low),
            (false, true) => format!("{kind} {high} {}", self.high),
            (true, true) if !self.low_open && !self.high_open => {
                format!("{kind} from {} to {}", self.low, self.high)
            }
            (true, true) => format!("{kind} {low} {} and {high} {}", self.low, self.high),
        }
    }
}

/// Reads the keys of one `config` object, for the code that `#[derive(Config)]` writes.
pub struct Reader<'a> {
    config: &'a Map,
    fields: &'static [Field],
}

impl<'a> Reader<'a> {
    /// Refuses unknown keys and names the required ones that are missing.
    pub fn new<T: Config>(config: &'a Map) -> Result<Self> {
        Self::of(config, T::FIELDS, T::FIXED, T::FLATTENED)
    }

    fn of(
        config: &'a Map,
        fields: &'static [Field],
        fixed: &[Fixed],
        flattened: &[Flattened],
    ) -> Result<Self> {
        let keys = || flattened.iter().flat_map(|f| f.fields).chain(fields).map(|field| field.key);
        for (key, value) in config {
            if let Some(fixed) = fixed.iter().find(|fixed| fixed.key() == key) {
                fixed.check(value).map_err(|e| e.under(key))?;
            } else if !keys().any(|known| known == key) {
                let known = keys().chain(fixed.iter().map(Fixed::key));
                return Err(Error::config(key, unknown("key", key, known)));
            }
        }
        let missing: Vec<String> = fields
            .iter()
            .filter(|field| field.default.is_none() && !config.contains_key(field.key))
            .map(|field| format!("`{}`", field.key))
            .collect();
        match missing.as_slice() {
            [] => Ok(Self { config, fields }),
            [one] => Err(Error::config("", format!("the required key {one} is missing"))),
            several => {
                let message = format!("the required keys {} are missing", several.join(", "));
                Err(Error::config("", message))
            }
        }
    }

    /// The value of a key that must be there.
    pub fn required<T>(&self, key: &str, read: fn(&Json) -> Result<T>) -> Result<T> {
        let value = self.config.get(key).unwrap_or(&Json::Null);
        read(value).map_err(|error| self.explain(key, value, error))
    }

    /// The value of a key, or its default.
    pub fn optional<T>(
        &self,
        key: &str,
        read: fn(&Json) -> Result<T>,
        default: fn() -> T,
    ) -> Result<T> {
        match self.config.get(key) {
            None => Ok(default()),
            Some(value) => read(value).map_err(|error| self.explain(key, value, error)),
        }
    }

    /// The keys of a flattened configuration. Those that are left out have the values of `default`.
    pub fn flattened<T: Config>(&self, default: fn() -> T) -> Result<T> {
        let mut config = default().to_config()?;
        for (key, value) in &mut config {
            if let Some(given) = self.config.get(key) {
                *value = given.clone();
            }
        }
        T::from_config(&config)
    }

    /// An error of a value at its key. A number of the wrong type is told its range too.
    fn explain(&self, key: &str, value: &Json, error: Error) -> Error {
        let field = self.fields.iter().find(|field| field.key == key);
        let Some((field, range)) = field.and_then(|field| Some((field, field.range?))) else {
            return error.under(key);
        };
        let schema = (field.schema)(&mut Definitions::new());
        let is = |name: &str| {
            let types = &schema["type"];
            types == name || types.as_array().is_some_and(|types| types.iter().any(|t| t == name))
        };
        if !is("number") && !is("integer") {
            return error.under(key);
        }
        let null = if is("null") { " or null" } else { "" };
        mismatch(&(range.describe(is("integer")) + null), value).under(key)
    }
}

/// Collects the keys of one `config` object, for the code that `#[derive(Config)]` writes.
#[derive(Default)]
pub struct Writer(Map);

impl Writer {
    /// Adds a key.
    pub fn write(&mut self, key: &str, value: Result<Json>) -> Result<()> {
        self.0.insert(key.to_string(), value.map_err(|e| e.under(key))?);
        Ok(())
    }

    /// Adds the keys of a flattened configuration.
    pub fn flatten(&mut self, config: Map) {
        self.0.extend(config);
    }

    /// The object, with the fixed keys that are written.
    pub fn finish(mut self, fixed: &[Fixed]) -> Map {
        for fixed in fixed {
            if let Fixed::Only { key, value, written: true } = fixed {
                self.0.insert((*key).to_string(), value());
            }
        }
        self.0
    }
}

/// `ConfigValue::from_json` for a configuration, which `#[config(value)]` writes.
pub fn value_from_json<T: Config>(value: &Json) -> Result<T> {
    match value {
        Json::Object(config) => T::from_config(config),
        other => Err(mismatch("an object", other)),
    }
}

/// `Serialize` for a configuration, which `#[config(serde)]` writes.
pub fn serialize<T: Config, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    value.to_config().map_err(serde::ser::Error::custom)?.serialize(serializer)
}

/// `Deserialize` for a configuration, which `#[config(serde)]` writes.
pub fn deserialize<'de, T: Config, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    T::from_config(&Map::deserialize(deserializer)?).map_err(D::Error::custom)
}
