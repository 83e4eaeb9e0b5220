//! Named, configured parts (activations, initializers, losses, ...): one table a kind gives look-up
//! by name, JSON in both directions, nearest names in errors, and the list that tests walk.
//!
//! Separation of concerns: an [`Entry`] is one row of a table; a [`Kind`] is a table; a
//! [`Part`] is one configured member of it, as a builder or a JSON document states it.
//! Members of the user's own stand in no table; [`CustomObjects`](crate::CustomObjects) knows them.

use crate::config::Config;
use crate::json::Map;
use crate::schema::Definitions;
use crate::{Error, Json, Part, Result};
use std::sync::Arc;

/// One row of a registry.
pub struct Entry<K: Kind> {
    /// Keras's class name, or the function's name for kinds written as bare names.
    pub class_name: &'static str,
    /// Other names Keras accepts for it; the first is what [`Style::Name`] kinds are written as.
    pub aliases: &'static [&'static str],
    /// Reads it from its `config` object; unknown keys are errors, missing keys take defaults.
    pub read: fn(&Map) -> Result<Member<K>>,
    /// The JSON Schema of its `config` object.
    pub schema: fn(&mut Definitions) -> Json,
}

impl<K: Kind> Entry<K> {
    /// The complete configuration with all defaults; none if an argument is required.
    pub fn defaults(&self) -> Option<Json> {
        (self.read)(&Map::new()).ok()?.config.ok()
    }
}

/// A type that a kind can hold: one that implements the kind's trait.
#[diagnostic::on_unimplemented(
    message = "`{T}` cannot be a member of `{Self}`",
    note = "implement the trait of that kind (`Loss` for `Losses`, `Initializer` for `Initializers`, ...)"
)]
pub trait Holds<T>: Kind {
    /// The value as the kind's object.
    fn hold(value: T) -> Arc<Self::Object>;
}

/// An object with its configuration.
pub struct Member<K: Kind> {
    pub(crate) object: Arc<K::Object>,
    pub(crate) config: Result<Json, Unusable>,
}

/// Why something cannot be used or written, kept until it is.
#[derive(Clone)]
pub(crate) struct Unusable {
    path: String,
    message: String,
}

impl From<Error> for Unusable {
    fn from(error: Error) -> Self {
        match error {
            Error::Config { path, message, .. } => Self { path, message },
            other => Self { path: String::new(), message: other.to_string() },
        }
    }
}

impl From<Unusable> for Error {
    fn from(Unusable { path, message }: Unusable) -> Self {
        Error::config(path, message)
    }
}

impl<K: Kind> Member<K> {
    /// From a configuration.
    pub fn new<T: Config>(value: T) -> Result<Self>
    where
        K: Holds<T>,
    {
        value.check_ranges()?;
        let config = value.to_config().map(Json::Object).map_err(Unusable::from);
        let object = K::hold(value);
        K::check(&object)?;
        Ok(Self { object, config })
    }

    /// From a `config` object.
    pub fn read<T: Config>(config: &Map) -> Result<Self>
    where
        K: Holds<T>,
    {
        Self::new(T::from_config(config)?)
    }

    /// From an object and its complete configuration.
    pub fn of(object: Arc<K::Object>, config: Json) -> Result<Self> {
        K::check(&object)?;
        Ok(Self { object, config: Ok(config) })
    }
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

    /// An object of another table that can serve as one of this, such as a loss among metrics, from
    /// Keras's JSON; `None` for all else.
    fn read_other(_object: &Map) -> Option<Result<Part<Self>>> {
        None
    }

    /// The schemas of what [`Kind::read_other`] reads.
    fn other_schemas(_definitions: &mut Definitions) -> Vec<Json> {
        Vec::new()
    }

    /// What to do in the place of something that Keras has by this name and the table does not.
    fn instead_of(_name: &str) -> Option<&'static str> {
        None
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
    unknown_or_alias(kind, name, known, [])
}

/// As [`unknown`], with names that may be meant too and are not listed.
pub(crate) fn unknown_or_alias<'a>(
    kind: &str,
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
    aliases: impl IntoIterator<Item = &'a str>,
) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    // Of names that are equally near the last counts: one that is listed.
    let all: Vec<&str> = aliases.into_iter().chain(known.iter().copied()).collect();
    let near = nearest(name, &all);
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
    let scored = known.iter().map(|k| {
        let folded = fold(k);
        // Of names that are equally near, the one that begins alike for longer.
        let same = wanted.chars().zip(folded.chars()).take_while(|(a, b)| a == b).count();
        (strsim::normalized_damerau_levenshtein(&wanted, &folded), same, *k)
    });
    scored
        .filter(|(score, ..)| *score >= 0.5)
        .max_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)))
        .map(|(.., name)| name)
}

/// The keys of a JSON object, or an error that says what came instead.
pub fn object(value: Json, what: &str) -> Result<Map> {
    match value {
        Json::Object(map) => Ok(map),
        other => Err(Error::config("", format!("{what} must be an object, not {other}"))),
    }
}

/// Writes the table of a [`Kind`], one line a member: `Type ["alias", ...];`, and `From<Type>` for its
/// [`Part`](crate::Part). The trait of the kind's objects stands in parentheses: `registry! { Losses(Loss): Huber
/// ["huber"]; }`. `Type` implements it and [`Config`](trait@crate::Config).
#[macro_export]
macro_rules! registry {
    ($kind:ident($object:path): $($ty:ident [$($alias:literal),*];)*) => {
        impl $kind {
            const ENTRIES: &'static [$crate::Entry<$kind>] = &[$($crate::Entry {
                class_name: <$ty as $crate::Config>::CLASS_NAME,
                aliases: &[$($alias),*],
                read: $crate::registry::Member::read::<$ty>,
                schema: <$ty as $crate::Config>::schema,
            }),*];
        }
        impl<T: $object + 'static> $crate::Holds<T> for $kind {
            fn hold(value: T) -> std::sync::Arc<Self::Object> {
                std::sync::Arc::new(value)
            }
        }
        $(impl From<$ty> for $crate::Part<$kind> {
            fn from(value: $ty) -> Self {
                Self::built_in(value)
            }
        })*
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_are_compared_without_case_and_underscores() {
        assert_eq!(fold("Sparse_Categorical_Crossentropy"), fold("SparseCategoricalCrossentropy"));
        assert_eq!(nearest("Re_Lu6", &["relu", "relu6"]), Some("relu6"));
        assert_eq!(nearest("sigmiod", &["silu", "sigmoid", "softmax"]), Some("sigmoid"));
        assert_eq!(nearest("completely else", &["relu", "tanh"]), None);
        assert_eq!(nearest("relu", &[]), None);
    }

    #[test]
    fn an_alias_may_be_meant() {
        let names = ["mean_squared_error", "huber"];
        let text = unknown_or_alias("loss", "msee", names, ["MeanSquaredError", "mse"]);
        assert_eq!(
            text,
            "unknown loss `msee`. Did you mean `mse`? Known: mean_squared_error, huber."
        );
        let text = unknown_or_alias("loss", "mean_squared_eror", names, ["MeanSquaredError"]);
        assert!(text.contains("Did you mean `mean_squared_error`?"), "{text}");
    }

    #[test]
    fn keys_that_all_share_are_known_too() {
        let error = Error::config("config", unknown("key", "nmae", ["units", "rate"]));
        assert_eq!(
            with_shared_keys(error, &["name", "dtype"]).to_string(),
            "at `config`: unknown key `nmae`. Did you mean `name`? Known: name, dtype, units, rate."
        );
        let without_own = Error::config("", unknown("key", "x", []));
        let message = with_shared_keys(without_own, &["name"]).to_string();
        assert_eq!(message, "unknown key `x`. Known: name.");
        // Others are left as they are.
        for other in [Error::config("units", "must be a number"), Error::data("no rows")] {
            let before = other.to_string();
            assert_eq!(with_shared_keys(other, &["name"]).to_string(), before);
        }
    }

    #[test]
    fn an_object_is_asked_for_by_what_it_is() {
        let error = object(json!([1]), "a layer").unwrap_err().to_string();
        assert_eq!(error, "a layer must be an object, not [1]");
    }
}
