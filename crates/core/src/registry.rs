//! Named, configured parts (activations, initializers, losses, ...): one table a kind gives look-up
//! by name, JSON in both directions, nearest names in errors, and the list that tests walk.
//!
//! Separation of concerns: an [`Entry`] is one row of a table; a [`Kind`] is a table; a [`Part`] is
//! one configured member of it, as a builder or a JSON document states it.

use crate::{Error, Json, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, json};
use std::fmt;
use std::sync::Arc;

/// One row of a registry.
pub struct Entry<K: Kind> {
    /// Keras's class name, or the function's name for kinds written as bare names.
    pub class_name: &'static str,
    /// Other names Keras accepts for it; the first is what [`Style::Name`] kinds are written as.
    pub aliases: &'static [&'static str],
    /// Builds it from its `config` object; unknown keys are errors, missing keys take defaults.
    pub build: fn(Json) -> Result<Arc<K::Object>>,
    /// All of its configuration with defaults filled in, from a partial one.
    pub complete: fn(Json) -> Result<Json>,
}

/// How a kind is written in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// As its bare name: `"relu"`.
    Name,
    /// As `{"module", "class_name", "config", "registered_name"}`.
    Object,
    /// As its bare name if it was given by one, else as [`Style::Object`].
    AsGiven,
}

/// A table of named parts.
pub trait Kind: Sized + Send + Sync + 'static {
    /// What a part of this kind can do.
    type Object: ?Sized + Send + Sync;
    /// What the kind is called in messages: "activation".
    const NAME: &'static str;
    /// Keras's module: "keras.initializers".
    const MODULE: &'static str;
    /// How it is written.
    const STYLE: Style = Style::Object;
    /// The table.
    fn entries() -> &'static [Entry<Self>];

    /// Refuses a configuration that no use could make right, such as a negative scale. The error's
    /// path is relative to the configuration.
    fn check(_object: &Self::Object) -> Result<()> {
        Ok(())
    }

    /// The row of a class name or alias. Underscores and case do not matter, as in Keras.
    fn find(name: &str) -> Option<&'static Entry<Self>> {
        let same = |a: &str| fold(a) == fold(name);
        Self::entries().iter().find(|e| same(e.class_name) || e.aliases.iter().any(|a| same(a)))
    }

    /// Every name that [`Kind::find`] knows, for messages: the first alias, else the class name.
    fn names() -> Vec<&'static str> {
        Self::entries().iter().map(|e| e.aliases.first().copied().unwrap_or(e.class_name)).collect()
    }
}

fn fold(name: &str) -> String {
    name.chars().filter(|c| *c != '_').flat_map(char::to_lowercase).collect()
}

/// "unknown `kind` `name`; did you mean `x`? Known: ...".
pub fn unknown<'a>(kind: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let near = nearest(name, &known);
    let hint = near.map(|near| format!(" Did you mean `{near}`?")).unwrap_or_default();
    format!("unknown {kind} `{name}`.{hint} Known: {}.", known.join(", "))
}

/// Adds keys that were read before (those all layers, or all optimizers, share) to what an error
/// about an unknown key calls known, and to what its hint chooses from.
pub fn with_shared_keys(error: Error, shared: &[&str]) -> Error {
    let Error::Config { file, line, path, message } = error else { return error };
    let message = match message.strip_prefix("unknown key `").and_then(|rest| rest.split_once('`'))
    {
        Some((key, rest)) => {
            let own = rest.split_once("Known: ").map_or("", |(_, known)| known);
            let own = own.trim_end_matches('.').split(", ").filter(|name| !name.is_empty());
            unknown("key", key, shared.iter().copied().chain(own))
        }
        None => message,
    };
    Error::Config { file, line, path, message }
}

/// The known name nearest to `name`, if one is near at all.
pub fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let wanted = fold(name);
    known
        .iter()
        .map(|k| (strsim::normalized_damerau_levenshtein(&wanted, &fold(k)), *k))
        .filter(|(score, _)| *score >= 0.5)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// One configured member of a [`Kind`]. Made from a name (`"relu"`), from its configuration struct,
/// or from JSON. A name that does not exist, or a configuration that cannot be used, is kept and
/// reported where the part is first used, so that builders need not return errors.
pub struct Part<K: Kind>(Repr<K>);

enum Repr<K: Kind> {
    Known {
        class_name: &'static str,
        written: &'static str,
        given: Option<String>,
        config: Json,
        object: Arc<K::Object>,
    },
    Custom {
        name: String,
        object: Arc<K::Object>,
    },
    Invalid {
        name: String,
        path: String,
        message: String,
    },
}

impl<K: Kind> Part<K> {
    /// A row of the table with a complete configuration and the object made from it.
    pub fn known(class_name: &'static str, config: Json, object: Arc<K::Object>) -> Self {
        let written = K::find(class_name)
            .map_or(class_name, |e| e.aliases.first().copied().unwrap_or(e.class_name));
        match K::check(&object) {
            Ok(()) => Self(Repr::Known { class_name, written, given: None, config, object }),
            Err(error) => Self::invalid(class_name, error),
        }
    }

    /// A part that cannot be used, kept until it is.
    pub fn invalid(name: &str, error: Error) -> Self {
        let (path, message) = match error {
            Error::Config { path, message, .. } => (path, message),
            other => (String::new(), other.to_string()),
        };
        Self(Repr::Invalid { name: name.to_string(), path, message })
    }

    /// A user's own part, outside the table: it works, but cannot be written to a file.
    pub fn custom(name: impl Into<String>, object: Arc<K::Object>) -> Self {
        Self(Repr::Custom { name: name.into(), object })
    }

    /// A part from a name and a (possibly partial) configuration.
    pub fn new(name: &str, config: Json) -> Result<Self> {
        let entry =
            K::find(name).ok_or_else(|| Error::config("", unknown(K::NAME, name, K::names())))?;
        let object = (entry.build)(config.clone()).map_err(|e| e.under("config"))?;
        K::check(&object).map_err(|e| e.under("config"))?;
        let config = (entry.complete)(config).map_err(|e| e.under("config"))?;
        Ok(Self::known(entry.class_name, config, object))
    }

    /// A part from its bare name, with all of its defaults.
    pub fn named(name: &str) -> Result<Self> {
        let mut part = Self::new(name, json!({}))?;
        if let Repr::Known { given, .. } = &mut part.0 {
            *given = Some(name.to_string());
        }
        Ok(part)
    }

    /// A part from JSON: a bare name, or `{"class_name": ..., "config": {...}}`.
    pub fn from_json(value: &Json) -> Result<Self> {
        match value {
            Json::String(name) => Self::named(name),
            Json::Object(map) => {
                for key in map.keys() {
                    let known = [
                        "module",
                        "class_name",
                        "config",
                        "registered_name",
                        "build_config",
                        "compile_config",
                        "shared_object_id",
                    ];
                    if !known.contains(&key.as_str()) {
                        return Err(Error::config(key.clone(), unknown("key", key, known)));
                    }
                }
                let class_name = map.get("class_name").and_then(Json::as_str).ok_or_else(|| {
                    Error::config(
                        "",
                        format!("a {} is a name or an object with `class_name`", K::NAME),
                    )
                })?;
                // Keras writes plain functions as {"class_name": "function", "config": "relu"}.
                if let ("function", Some(Json::String(name))) = (class_name, map.get("config")) {
                    return Self::named(name).map_err(|e| e.under("config"));
                }
                let config = match map.get("config") {
                    None | Some(Json::Null) => json!({}),
                    Some(config) => config.clone(),
                };
                let known = K::find(class_name).is_some();
                Self::new(class_name, config)
                    .map_err(|e| if known { e } else { e.under("class_name") })
            }
            other => Err(Error::config(
                "",
                format!("a {} is a name or an object with `class_name`, not {other}", K::NAME),
            )),
        }
    }

    /// The object; an unknown name or an unusable configuration is reported here.
    pub fn get(&self) -> Result<&Arc<K::Object>> {
        match &self.0 {
            Repr::Known { object, .. } | Repr::Custom { object, .. } => Ok(object),
            Repr::Invalid { path, message, .. } => {
                Err(Error::config(path.clone(), message.clone()))
            }
        }
    }

    /// The class name (or the user's name).
    pub fn class_name(&self) -> &str {
        match &self.0 {
            Repr::Known { class_name, .. } => class_name,
            Repr::Custom { name, .. } | Repr::Invalid { name, .. } => name,
        }
    }

    /// The name it is written as: the first alias (`relu`, `glorot_uniform`), else the class name.
    pub fn name(&self) -> &str {
        match &self.0 {
            Repr::Known { written, .. } => written,
            Repr::Custom { name, .. } | Repr::Invalid { name, .. } => name,
        }
    }

    /// The bare name it was given by, as it was spelt; `None` if it was given configured.
    pub fn given_name(&self) -> Option<&str> {
        match &self.0 {
            Repr::Known { given, .. } => given.as_deref(),
            _ => None,
        }
    }

    /// The complete configuration; `None` for a user's own part.
    pub fn config(&self) -> Option<&Json> {
        match &self.0 {
            Repr::Known { config, .. } => Some(config),
            _ => None,
        }
    }

    /// Keras's JSON of this part.
    pub fn to_json(&self) -> Result<Json> {
        match &self.0 {
            Repr::Known { written, .. } if K::STYLE == Style::Name => Ok(json!(written)),
            Repr::Known { given: Some(name), .. } if K::STYLE == Style::AsGiven => Ok(json!(name)),
            Repr::Known { class_name, config, .. } => Ok(json!({
                "module": K::MODULE, "class_name": class_name, "config": config, "registered_name": null,
            })),
            Repr::Custom { name, .. } => Err(Error::config(
                "",
                format!("the {} `{name}` is your own code and cannot be written to JSON", K::NAME),
            )),
            Repr::Invalid { path, message, .. } => {
                Err(Error::config(path.clone(), message.clone()))
            }
        }
    }
}

impl<K: Kind> Clone for Part<K> {
    fn clone(&self) -> Self {
        Self(match &self.0 {
            Repr::Known { class_name, written, given, config, object } => Repr::Known {
                class_name,
                written,
                given: given.clone(),
                config: config.clone(),
                object: object.clone(),
            },
            Repr::Custom { name, object } => {
                Repr::Custom { name: name.clone(), object: object.clone() }
            }
            Repr::Invalid { name, path, message } => {
                Repr::Invalid { name: name.clone(), path: path.clone(), message: message.clone() }
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

/// The `complete` function of an [`Entry`] for a serde configuration struct.
pub fn complete_config<T: Serialize + serde::de::DeserializeOwned>(config: Json) -> Result<Json> {
    let value: T = crate::json::parse(config)?;
    serde_json::to_value(value).map_err(|e| Error::config("", e.to_string()))
}

/// The keys of a JSON object, or an error that says what came instead.
pub fn object(value: Json, what: &str) -> Result<Map<String, Json>> {
    match value {
        Json::Object(map) => Ok(map),
        other => Err(Error::config("", format!("{what} must be an object, not {other}"))),
    }
}

/// Writes the table of a [`Kind`], one line a member: `Type = "ClassName" ["alias", ...];`, and
/// `From<Type>` for its [`Part`]. `Type` is a serde struct that implements the kind's object trait.
#[macro_export]
macro_rules! registry {
    ($kind:ident: $($ty:ident = $class:literal [$($alias:literal),*];)*) => {
        impl $kind {
            const ENTRIES: &'static [$crate::Entry<$kind>] = &[$($crate::Entry {
                class_name: $class,
                aliases: &[$($alias),*],
                build: |config| Ok(std::sync::Arc::new($crate::json::parse::<$ty>(config)?)),
                complete: $crate::registry::complete_config::<$ty>,
            }),*];
        }
        $(impl From<$ty> for $crate::Part<$kind> {
            fn from(value: $ty) -> Self {
                let config = serde_json::to_value(&value).unwrap_or_default();
                Self::known($class, config, std::sync::Arc::new(value))
            }
        })*
    };
}
