//! JSON Schema (2020-12) of configurations and registries, and the tables of the documentation that
//! are made from it.

use crate::config::{Config, Field, Fixed, Range};
use crate::custom_objects;
use crate::json::{Json, Map, OBJECT_KEYS};
use crate::registry::Kind;
use serde_json::json;

/// The schemas that other schemas refer to: one for each kind of part that occurs.
#[derive(Debug, Default)]
pub struct Definitions(Map);

impl Definitions {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A reference to the schema of a kind's parts, which is added if it is not there yet.
    pub fn part<K: Kind>(&mut self) -> Json {
        self.named(&K::NAME.replace(' ', "_"), of_kind::<K>)
    }

    /// A reference to the schema of a configuration, which is added if it is not there yet.
    pub fn config<T: Config>(&mut self) -> Json {
        self.named(T::CLASS_NAME, T::schema)
    }

    /// A reference to the schema of this name, which is made if it is not there yet.
    pub fn named(&mut self, name: &str, make: impl FnOnce(&mut Self) -> Json) -> Json {
        if !self.0.contains_key(name) {
            // What holds values of its own kind meets this entry, and ends there.
            self.0.insert(name.to_string(), Json::Null);
            let schema = make(self);
            self.0.insert(name.to_string(), schema);
        }
        json!({"$ref": format!("#/$defs/{name}")})
    }

    /// The schemas, for the key `$defs`.
    pub fn into_map(self) -> Map {
        self.0
    }
}

/// The JSON Schema of a value, as a document of its own.
pub fn document(schema: impl FnOnce(&mut Definitions) -> Json) -> Json {
    let mut definitions = Definitions::new();
    let Json::Object(mut document) = schema(&mut definitions) else { return Json::Null };
    document.shift_insert(
        0,
        "$schema".into(),
        "https://json-schema.org/draft/2020-12/schema".into(),
    );
    document.insert("$defs".into(), Json::Object(definitions.into_map()));
    Json::Object(document)
}

/// The members of a kind: the names of each, and the schema of its `config`.
pub fn configs<K: Kind>(definitions: &mut Definitions) -> Vec<(Vec<String>, Json)> {
    let mut configs = Vec::new();
    for entry in K::entries() {
        let names = std::iter::once(&entry.class_name).chain(entry.aliases);
        configs.push((names.map(|name| name.to_string()).collect(), (entry.schema)(definitions)));
    }
    for custom in custom_objects::of_kind::<K>() {
        if let Some(config) = custom.schema(definitions) {
            let names = [custom.class_name(), custom.registered_name()];
            configs.push((names.map(str::to_string).to_vec(), config));
        }
    }
    configs
}

/// A name, or an object with `class_name` and `config`.
fn of_kind<K: Kind>(definitions: &mut Definitions) -> Json {
    let mut bare = Vec::new();
    let mut objects = Vec::new();
    for (index, (names, config)) in configs::<K>(definitions).into_iter().enumerate() {
        if config.get("required").is_none() {
            // A type of the user's own is known by its registered name alone.
            let own = usize::from(index >= K::entries().len());
            bare.extend(names.iter().skip(own).cloned());
        }
        objects.push(object(json!({"enum": names}), config));
    }
    for custom in custom_objects::of_kind::<K>() {
        if custom.schema(definitions).is_none() {
            bare.push(custom.registered_name().to_string());
        }
    }
    let function = json!({
        "type": "object",
        "required": ["class_name", "config"],
        "additionalProperties": false,
        "properties": members(json!({"const": "function"}), json!({"enum": bare})),
    });
    let mut alternatives = vec![json!({"enum": bare})];
    alternatives.extend(objects);
    alternatives.push(function);
    alternatives.extend(K::other_schemas(definitions));
    json!({"anyOf": alternatives})
}

/// The schema of an object as Keras serializes it.
pub fn object(class_name: Json, config: Json) -> Json {
    let mut required = vec!["class_name"];
    let description = config.get("description").cloned();
    let config = if config.get("required").is_some() {
        required.push("config");
        config
    } else {
        or_null(config)
    };
    let mut schema = json!({
        "type": "object",
        "required": required,
        "additionalProperties": false,
        "properties": members(class_name, config),
    });
    if let (Some(description), Json::Object(map)) = (description, &mut schema) {
        map.shift_insert(0, "description".into(), description);
    }
    schema
}

/// The keys of a serialized object.
fn members(class_name: Json, config: Json) -> Json {
    let mut members: Map = OBJECT_KEYS.iter().map(|key| (key.to_string(), json!({}))).collect();
    members.insert("class_name".into(), class_name);
    members.insert("config".into(), config);
    Json::Object(members)
}

/// The schema of a key `dtype`, as [`DTypePolicy::from_json`](crate::DTypePolicy::from_json) reads it.
pub fn dtype() -> Json {
    json!({"anyOf": [
        {"enum": [null, "float32"]},
        {"type": "object", "required": ["config"], "properties": {"config": {
            "type": "object", "required": ["name"], "properties": {"name": {"const": "float32"}},
        }}},
    ]})
}

/// The schema of a `config` object.
pub(crate) fn of_config<T: Config>(definitions: &mut Definitions) -> Json {
    let (doc, fields, fixed) = (T::DOC, T::FIELDS, T::FIXED);
    let mut properties = Map::new();
    for flattened in T::FLATTENED {
        let mut defaults = (flattened.defaults)().unwrap_or_default();
        for field in flattened.fields {
            let mut schema = of_field(field, definitions);
            if let Some(default) = defaults.remove(field.key) {
                schema["default"] = default;
            }
            properties.insert(field.key.to_string(), schema);
        }
    }
    for field in fields {
        properties.insert(field.key.to_string(), of_field(field, definitions));
    }
    for fixed in fixed {
        let schema = match fixed {
            Fixed::Only { value, .. } => json!({"const": value()}),
            Fixed::Dtype => {
                let mut schema = dtype();
                schema["description"] = "The type it computes in.".into();
                schema
            }
        };
        properties.insert(fixed.key().to_string(), schema);
    }
    let required: Vec<&str> =
        fields.iter().filter(|field| field.default.is_none()).map(|field| field.key).collect();
    let mut schema = Map::new();
    if !doc.is_empty() {
        schema.insert("description".into(), plain(doc).into());
    }
    schema.insert("type".into(), "object".into());
    schema.insert("properties".into(), Json::Object(properties));
    if !required.is_empty() {
        schema.insert("required".into(), required.into());
    }
    schema.insert("additionalProperties".into(), false.into());
    Json::Object(schema)
}

fn of_field(field: &Field, definitions: &mut Definitions) -> Json {
    let mut schema = (field.schema)(definitions);
    if let Some(range) = &field.range {
        limit(&mut schema, range);
    }
    if field.null {
        schema = or_null(schema);
    }
    let Json::Object(mut map) = schema else { return schema };
    if !field.doc.is_empty() {
        map.shift_insert(0, "description".into(), plain(field.doc).into());
    }
    if let Some(Ok(default)) = field.default.map(|default| default()) {
        map.insert("default".into(), default);
    }
    Json::Object(map)
}

/// Adds the bounds of a range to every number in the schema of a number, of a list, or of either.
fn limit(schema: &mut Json, range: &Range) {
    if let Some(alternatives) = schema.get_mut("anyOf").and_then(Json::as_array_mut) {
        alternatives.iter_mut().for_each(|alternative| limit(alternative, range));
    }
    if let Some(items) = schema.get_mut("items") {
        limit(items, range);
    }
    let is_number = |name: &Json| name == "number" || name == "integer";
    let is_limited = match schema.get("type") {
        Some(Json::Array(types)) => types.iter().any(is_number),
        Some(name) => is_number(name),
        None => false,
    };
    let Some(map) = schema.as_object_mut().filter(|_| is_limited) else { return };
    let bounds = [
        (range.low, if range.low_open { "exclusiveMinimum" } else { "minimum" }),
        (range.high, if range.high_open { "exclusiveMaximum" } else { "maximum" }),
    ];
    for (bound, key) in bounds.into_iter().filter(|(bound, _)| bound.is_finite()) {
        // Whole bounds without a point, as people write them.
        let whole = bound.fract() == 0.0 && bound.abs() < 2f64.powi(53);
        map.insert(key.into(), if whole { (bound as i64).into() } else { bound.into() });
    }
}

/// The schema of a value that may be `null` too.
pub fn or_null(mut schema: Json) -> Json {
    let Some(map) = schema.as_object_mut() else { return schema };
    if let Some(Json::Array(values)) = map.get_mut("enum") {
        if !values.contains(&Json::Null) {
            values.push(Json::Null);
        }
        return schema;
    }
    // Whatever is allowed: `null` is too.
    if map.is_empty() {
        return schema;
    }
    match map.get_mut("type") {
        Some(Json::Array(types)) if types.iter().any(|ty| ty == "null") => schema,
        Some(Json::Array(types)) => {
            types.push("null".into());
            schema
        }
        Some(ty) => {
            *ty = json!([ty.take(), "null"]);
            schema
        }
        None => json!({"anyOf": [schema, {"type": "null"}]}),
    }
}

/// A doc comment as plain text: lines of a paragraph joined, links to Rust items without brackets.
fn plain(doc: &str) -> String {
    let paragraphs = doc.split("\n\n").map(|paragraph| {
        if paragraph.contains("```") || paragraph.trim_start().starts_with("- ") {
            return paragraph.trim_matches('\n').to_string();
        }
        paragraph.split_whitespace().collect::<Vec<_>>().join(" ")
    });
    without_links(&paragraphs.collect::<Vec<_>>().join("\n\n"))
}

/// "[`Dense`]" and "[`Dense`](crate::Dense)" become "`Dense`".
fn without_links(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("[`") {
        out += &rest[..start];
        let link = &rest[start + 1..];
        let Some(end) = link.find("`]") else {
            out += &rest[start..];
            return out;
        };
        out += &link[..=end];
        rest = &link[end + 2..];
        if let Some(target) = rest.strip_prefix('(') {
            rest = after_parenthesis(target).unwrap_or(rest);
        }
    }
    out + rest
}

/// What comes after the parenthesis that closes the one before `text`.
fn after_parenthesis(text: &str) -> Option<&str> {
    let mut depth = 1;
    for (i, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return text.get(i + 1..);
        }
    }
    None
}

/// The documentation of a kind as a Markdown table: a row for each member with its names, its
/// arguments with types and defaults, and the first sentence of its doc comment.
pub fn reference<K: Kind>() -> String {
    let mut out = String::from("| Name | Arguments and defaults | Description |\n|---|---|---|\n");
    let mut definitions = Definitions::new();
    for entry in K::entries() {
        let config = (entry.schema)(&mut definitions);
        let names: Vec<String> = std::iter::once(&entry.class_name)
            .chain(entry.aliases.iter().filter(|alias| **alias != entry.class_name))
            .map(|name| format!("`{name}`"))
            .collect();
        let required = |key: &str| {
            config["required"].as_array().is_some_and(|keys| keys.iter().any(|k| k == key))
        };
        let arguments: Vec<String> = config["properties"]
            .as_object()
            .into_iter()
            .flatten()
            // Keys that are accepted with one value only are no arguments.
            .filter(|(key, schema)| schema.get("default").is_some() || required(key))
            .map(|(key, schema)| argument(key, schema, required(key)))
            .collect();
        let doc = first_sentence(config["description"].as_str().unwrap_or_default());
        let row = [names.join(", "), arguments.join("<br>"), doc];
        out += &format!("| {} |\n", row.map(|cell| cell.replace('|', "\\|")).join(" | "));
    }
    out
}

/// "`alpha`: number, 1.0".
fn argument(key: &str, schema: &Json, required: bool) -> String {
    let ty = type_name(schema);
    match schema.get("default") {
        _ if required => format!("`{key}`: {ty}, required"),
        Some(default) => format!("`{key}`: {ty}, `{}`", shorthand(default)),
        None => format!("`{key}`: {ty}"),
    }
}

/// A part that has only defaults by its class name.
fn shorthand(default: &Json) -> String {
    match default.get("class_name") {
        Some(name) => name.to_string(),
        None => default.to_string(),
    }
}

fn type_name(schema: &Json) -> String {
    /// A longer list of words is left to the schema.
    const MOST_WORDS: usize = 8;
    if let Some(values) = schema["enum"].as_array() {
        if values.len() > MOST_WORDS {
            return "string".to_string();
        }
        let values: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
        return values.join(" or ");
    }
    if let Some(reference) = schema["$ref"].as_str() {
        return reference.rsplit('/').next().unwrap_or_default().replace('_', " ");
    }
    if let Some(alternatives) = schema["anyOf"].as_array() {
        let mut names: Vec<String> = alternatives.iter().map(type_name).collect();
        names.dedup();
        return names.join(" or ");
    }
    let one = |ty: &str| match ty {
        "array" => match type_name(&schema["items"]).as_str() {
            "value" => "list".to_string(),
            items if items.contains(" or ") => format!("list of ({items})"),
            items => format!("list of {items}s"),
        },
        ty => ty.to_string(),
    };
    match &schema["type"] {
        Json::String(ty) => one(ty),
        Json::Array(types) => {
            types.iter().filter_map(Json::as_str).map(one).collect::<Vec<_>>().join(" or ")
        }
        _ => "value".to_string(),
    }
}

/// Up to the first full stop or paragraph, whichever comes first; with the formula after a colon.
fn first_sentence(doc: &str) -> String {
    let mut paragraphs = doc.split("\n\n");
    let first = paragraphs.next().unwrap_or_default();
    if let Some(stop) = first.find(". ") {
        return first[..=stop].to_string();
    }
    match (first.strip_suffix(':'), paragraphs.next()) {
        (Some(_), Some(formula)) if formula.starts_with('`') => format!("{first} {formula}"),
        (Some(sentence), _) => format!("{sentence}."),
        (None, _) => first.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doc_comments_become_plain_text() {
        assert_eq!(
            plain(
                "One\n line with [`Code`] (see [`fans`](super::fans())); [text](http://a).\n\nTwo."
            ),
            "One line with `Code` (see `fans`); [text](http://a).\n\nTwo."
        );
        assert_eq!(first_sentence("A b. C.\n\nD."), "A b.");
        assert_eq!(first_sentence("A b\n\nD."), "A b");
        assert_eq!(first_sentence("A b:\n\n`x + y`\n\nD."), "A b: `x + y`");
        assert_eq!(first_sentence("A b:\n\n- one\n- two"), "A b.");
    }

    #[test]
    fn null_is_added_once() {
        let twice = |schema: Json| or_null(or_null(schema));
        assert_eq!(twice(json!({"type": "number"})), json!({"type": ["number", "null"]}));
        assert_eq!(twice(json!({"enum": ["a"]})), json!({"enum": ["a", null]}));
        assert_eq!(
            or_null(json!({"$ref": "#"})),
            json!({"anyOf": [{"$ref": "#"}, {"type": "null"}]})
        );
        assert_eq!(twice(json!({})), json!({}));
    }
}
