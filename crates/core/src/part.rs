//! One configured member of a registry: its object, its name and configuration, and Keras's JSON of it.
//!
//! Source of the JSON of registered objects and functions: `serialization_lib.py` of Keras 3.15.

use crate::config::{Config, Registered};
use crate::custom_objects::{self, Custom};
use crate::json::{Map, OBJECT_KEYS, only_keys, shown};
use crate::registry::{Entry, Holds, Kind, Member, Style, Unusable, nearest, unknown_or_alias};
use crate::{Error, Json, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::json;
use std::fmt;
use std::sync::Arc;

/// One configured member of a [`Kind`]. Made from a name (`"relu"`), from its configuration struct,
/// or from JSON. A name that does not exist, or a configuration that cannot be used, is kept and
/// reported where the part is first used, so that builders need not return errors.
pub struct Part<K: Kind>(Repr<K>);

enum Repr<K: Kind> {
    Valid {
        name: Name,
        given: Option<String>,
        config: Result<Json, Unusable>,
        object: Arc<K::Object>,
    },
    Invalid {
        name: String,
        error: Unusable,
    },
}

/// What a part is called, and how files name it.
#[derive(Clone)]
enum Name {
    /// A row of the table.
    Entry { class_name: &'static str, written: &'static str },
    /// A type of the user's own.
    Registered { class_name: &'static str, registered_name: &'static str },
    /// A function of the user's own.
    Function(String),
    /// An object of the user's own that files cannot name.
    Unregistered(String),
    /// An object of another table, with its JSON.
    Other { name: String, json: Json },
}

impl<K: Kind> Part<K> {
    /// A row of the table from its configuration.
    pub fn built_in<T: Config>(value: T) -> Self
    where
        K: Holds<T>,
    {
        Self::of(Name::entry::<K>(T::CLASS_NAME), Member::new(value))
    }

    /// A part of your own, written under its registered name, as Keras writes objects that are
    /// registered with `@keras.saving.register_keras_serializable`. It is read back within the scope of
    /// [`CustomObjects`](crate::CustomObjects).
    pub fn registered<T: Registered>(value: T) -> Self
    where
        K: Holds<T>,
    {
        Self::of(Name::registered::<T>(), Member::new(value))
    }

    /// A function of your own, written by its registered name (`"my_package>my_function"`), as Keras
    /// writes registered functions. It is read back within the scope of
    /// [`CustomObjects`](crate::CustomObjects).
    pub fn function(registered_name: impl Into<String>, object: Arc<K::Object>) -> Self {
        Self::of(Name::Function(registered_name.into()), Member::of(object, json!({})))
    }

    /// A part of your own that has no registered name: it works, but cannot be written to a file.
    pub fn custom(name: impl Into<String>, object: Arc<K::Object>) -> Self {
        Self::of(Name::Unregistered(name.into()), Member::of(object, json!({})))
    }

    /// An object of another table that serves as one of this ([`Kind::read_other`]), called `name` and
    /// written as `json`.
    pub fn other(name: impl Into<String>, json: Json, object: Arc<K::Object>) -> Self {
        Self::of(Name::Other { name: name.into(), json }, Member::of(object, json!({})))
    }

    /// A part that cannot be used, kept until it is.
    pub fn invalid(name: &str, error: Error) -> Self {
        Self(Repr::Invalid { name: name.to_string(), error: error.into() })
    }

    fn of(name: Name, member: Result<Member<K>>) -> Self {
        match member {
            Ok(Member { object, config }) => {
                Self(Repr::Valid { name, given: None, config, object })
            }
            Err(error) => Self::invalid(name.class_name(), error),
        }
    }

    /// A part from a name and a (possibly partial) configuration.
    pub fn new(name: &str, config: Json) -> Result<Self> {
        let config = match config {
            Json::Object(map) => map,
            Json::Null => Map::new(),
            other => {
                let message = format!("must be an object, found {}", shown(&other));
                return Err(Error::config("config", message));
            }
        };
        if let Some(entry) = K::find(name) {
            let member = (entry.read)(&config).map_err(|e| e.under("config"))?;
            return Ok(Self::of(Name::entry::<K>(entry.class_name), Ok(member)));
        }
        match custom_objects::find::<K>(name) {
            Some(custom) => Self::of_custom(&custom, &config),
            None => Err(Self::unknown(name)),
        }
    }

    fn of_custom(custom: &Custom<K>, config: &Map) -> Result<Self> {
        match custom {
            Custom::Type { class_name, registered_name, read, .. } => {
                let member = read(config).map_err(|e| e.under("config"))?;
                Ok(Self::of(Name::Registered { class_name, registered_name }, Ok(member)))
            }
            Custom::Function(part) => Ok(part.clone()),
        }
    }

    fn unknown(name: &str) -> Error {
        if let Some(instead) = K::instead_of(name) {
            return Error::config("", format!("there is no {} `{name}`: {instead}", K::NAME));
        }
        let customs = custom_objects::of_kind::<K>();
        let known = K::names().into_iter().chain(customs.iter().map(|c| c.registered_name()));
        if !name.contains('>') {
            let aliases = K::entries().iter().flat_map(|entry| entry.aliases.iter().copied());
            return Error::config("", unknown_or_alias(K::NAME, name, known, aliases));
        }
        Error::config("", unregistered::<K>(name))
    }

    /// A part from its bare name, with all of its defaults.
    pub fn named(name: &str) -> Result<Self> {
        let mut part = Self::new(name, json!({}))?;
        if let Repr::Valid { given, .. } = &mut part.0 {
            *given = Some(name.to_string());
        }
        Ok(part)
    }

    /// A part from JSON: a bare name, or `{"class_name": ..., "config": {...}}`.
    pub fn from_json(value: &Json) -> Result<Self> {
        match value {
            Json::String(name) => Self::named(name),
            Json::Object(map) => Self::from_object(map),
            other => Err(Self::not_a_part(Some(other))),
        }
    }

    fn not_a_part(found: Option<&Json>) -> Error {
        let found = found.map(|found| format!(", not {}", shown(found))).unwrap_or_default();
        let expected = format!("a {} is a name or an object with `class_name`{found}", K::NAME);
        Error::config("", expected)
    }

    fn from_object(map: &Map) -> Result<Self> {
        only_keys(map, &OBJECT_KEYS)?;
        if let Some(other) = K::read_other(map) {
            return other;
        }
        let class_name =
            map.get("class_name").and_then(Json::as_str).ok_or_else(|| Self::not_a_part(None))?;
        // Keras writes functions as {"class_name": "function", "config": "relu"}.
        if let ("function", Some(Json::String(name))) = (class_name, map.get("config")) {
            return Self::named(name).map_err(|e| e.under("config"));
        }
        let config = map.get("config").unwrap_or(&Json::Null);
        let registered_name = map.get("registered_name").and_then(Json::as_str);
        let module = map.get("module").and_then(Json::as_str);
        let of_keras = module.is_some_and(|m| m == "keras" || m.starts_with("keras."));
        if let Some(name) = registered_name.filter(|name| !of_keras && name.contains('>')) {
            return match custom_objects::find::<K>(name) {
                Some(_) => Self::new(name, config.clone()),
                None => Err(Error::config("registered_name", unregistered::<K>(name))),
            };
        }
        let known =
            K::find(class_name).is_some() || custom_objects::find::<K>(class_name).is_some();
        Self::new(class_name, config.clone())
            .map_err(|e| if known { e } else { e.under("class_name") })
    }

    /// The object; an unknown name or an unusable configuration is reported here.
    pub fn get(&self) -> Result<&Arc<K::Object>> {
        match &self.0 {
            Repr::Valid { object, .. } => Ok(object),
            Repr::Invalid { error, .. } => Err(error.clone().into()),
        }
    }

    /// The class name (or the user's name).
    pub fn class_name(&self) -> &str {
        match &self.0 {
            Repr::Valid { name, .. } => name.class_name(),
            Repr::Invalid { name, .. } => name,
        }
    }

    /// The name it is written as: the first alias (`relu`, `glorot_uniform`), else the class name, or
    /// the registered name.
    pub fn name(&self) -> &str {
        match &self.0 {
            Repr::Valid { name: Name::Entry { written, .. }, .. } => written,
            Repr::Valid { name: Name::Registered { registered_name, .. }, .. } => registered_name,
            Repr::Valid { name, .. } => name.class_name(),
            Repr::Invalid { name, .. } => name,
        }
    }

    /// The bare name it was given by, as it was spelt; `None` if it was given configured.
    pub fn given_name(&self) -> Option<&str> {
        match &self.0 {
            Repr::Valid { given, .. } => given.as_deref(),
            Repr::Invalid { .. } => None,
        }
    }

    /// The complete configuration; `None` for what has none or cannot be written.
    pub fn config(&self) -> Option<&Json> {
        match &self.0 {
            Repr::Valid { name: Name::Other { json, .. }, .. } => json.get("config"),
            Repr::Valid { name: Name::Function(_) | Name::Unregistered(_), .. } => None,
            Repr::Valid { config, .. } => config.as_ref().ok(),
            Repr::Invalid { .. } => None,
        }
    }

    /// Keras's JSON of this part.
    pub fn to_json(&self) -> Result<Json> {
        let (name, given, config) = match &self.0 {
            Repr::Valid { name, given, config, .. } => (name, given, config),
            Repr::Invalid { error, .. } => return Err(error.clone().into()),
        };
        let config = || config.clone().map_err(|error| Error::from(error).under("config"));
        match name {
            Name::Entry { class_name, written } => {
                match (K::STYLE, given) {
                    (Style::AsGiven, Some(given)) => return Ok(json!(given)),
                    (Style::Name, _) if self.has_defaults() => return Ok(json!(written)),
                    _ => {}
                }
                Ok(json!({
                    "module": K::MODULE, "class_name": class_name, "config": config()?,
                    "registered_name": null,
                }))
            }
            Name::Registered { class_name, registered_name } => Ok(json!({
                "module": null, "class_name": class_name, "config": config()?,
                "registered_name": registered_name,
            })),
            Name::Function(name) => Ok(json!({
                "module": "builtins", "class_name": "function", "config": name,
                "registered_name": "function",
            })),
            Name::Other { json, .. } => Ok(json.clone()),
            Name::Unregistered(name) => {
                let message = format!(
                    "the {} `{name}` is code of your own without a registered name and cannot be written \
                     to JSON",
                    K::NAME
                );
                Err(Error::config("", message))
            }
        }
    }

    /// Whether a bare name says all of its configuration.
    fn has_defaults(&self) -> bool {
        let Repr::Valid { given, config: Ok(config), .. } = &self.0 else { return false };
        let defaults = || K::find(self.class_name()).and_then(Entry::defaults);
        given.is_some() || defaults().is_some_and(|defaults| defaults == *config)
    }
}

impl Name {
    fn entry<K: Kind>(class_name: &'static str) -> Self {
        let alias = K::find(class_name).and_then(|entry| entry.aliases.first().copied());
        Self::Entry { class_name, written: alias.unwrap_or(class_name) }
    }

    fn registered<T: Registered>() -> Self {
        Self::Registered { class_name: T::CLASS_NAME, registered_name: T::REGISTERED_NAME }
    }

    fn class_name(&self) -> &str {
        match self {
            Self::Entry { class_name, .. } | Self::Registered { class_name, .. } => class_name,
            Self::Function(name) | Self::Unregistered(name) | Self::Other { name, .. } => name,
        }
    }
}

/// What to do about a registered name that is not known here.
fn unregistered<K: Kind>(name: &str) -> String {
    let customs = custom_objects::of_kind::<K>();
    let known: Vec<&str> = customs.iter().map(|custom| custom.registered_name()).collect();
    let here = match (nearest(name, &known), known.as_slice()) {
        (Some(near), _) => format!(" Did you mean `{near}`?"),
        (None, []) => String::new(),
        (None, known) => format!(" Registered here: {}.", known.join(", ")),
    };
    let table = std::any::type_name::<K>().rsplit("::").next().unwrap_or_default();
    let own = name.rsplit('>').next().unwrap_or_default();
    format!(
        "the {} `{name}` is not registered.{here} Read the file within \
         `CustomObjects::new().register::<{table}, {own}>().scope(|| ..)`, where `{own}` is your type with that \
         registered name",
        K::NAME
    )
}

impl<K: Kind> Clone for Part<K> {
    fn clone(&self) -> Self {
        Self(match &self.0 {
            Repr::Valid { name, given, config, object } => Repr::Valid {
                name: name.clone(),
                given: given.clone(),
                config: config.clone(),
                object: object.clone(),
            },
            Repr::Invalid { name, error } => {
                Repr::Invalid { name: name.clone(), error: error.clone() }
            }
        })
    }
}

impl<K: Kind> fmt::Debug for Part<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({:?}, {:?})", K::NAME, self.class_name(), self.config())
    }
}

impl<K: Kind> From<&str> for Part<K> {
    fn from(name: &str) -> Self {
        Self::named(name).unwrap_or_else(|error| Self::invalid(name, error))
    }
}

impl<K: Kind> From<&Part<K>> for Part<K> {
    fn from(part: &Part<K>) -> Self {
        part.clone()
    }
}

impl<K: Kind> Serialize for Part<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        self.to_json().map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

impl<'de, K: Kind> Deserialize<'de> for Part<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let value = Json::deserialize(deserializer)?;
        Self::from_json(&value).map_err(serde::de::Error::custom)
    }
}
