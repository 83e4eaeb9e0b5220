//! `--set KEY.PATH=VALUE`: changes a run configuration from the command line.

use sconce::core::{Error, Json, Result};

/// One `--set`.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    steps: Vec<Step>,
    value: Json,
    text: String,
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Key(String),
    Index(usize),
}

impl std::str::FromStr for Override {
    type Err = String;

    /// `fit.epochs=3`, `callbacks[0].config.patience=2` or `callbacks.0.config.patience=2`. The value
    /// is JSON; what is not JSON is a string.
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let Some((path, value)) = text.split_once('=') else {
            return Err("needs the form KEY.PATH=VALUE, such as fit.epochs=3".into());
        };
        let mut steps = Vec::new();
        for part in path.split('.') {
            let (key, indices) = part.split_once('[').map_or((part, None), |(k, i)| (k, Some(i)));
            if key.is_empty() && (indices.is_none() || steps.is_empty()) {
                return Err(format!("`{path}` is not a path such as fit.epochs"));
            }
            if !key.is_empty() {
                steps.push(Step::Key(key.to_string()));
            }
            for index in indices.into_iter().flat_map(|i| i.split('[')) {
                let index = index.strip_suffix(']').and_then(|i| i.parse().ok());
                let index =
                    index.ok_or(format!("`{path}` has an index that is not a number in []"))?;
                steps.push(Step::Index(index));
            }
        }
        let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
        Ok(Self { steps, value, text: text.to_string() })
    }
}

impl std::fmt::Display for Override {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl Override {
    /// Changes the document. Keys that are missing are added: whether they exist is for the reader of
    /// the configuration to say, who knows all names.
    ///
    /// # Errors
    /// A key in something that is no object, an index that a list does not have.
    pub fn apply(&self, document: &mut Json) -> Result<()> {
        let mut at = document;
        let mut path = String::new();
        for step in &self.steps {
            at = self.enter(at, step, &mut path)?;
        }
        *at = self.value.clone();
        Ok(())
    }

    /// The member of a value; `path` is where that value is, and then where the member is.
    fn enter<'a>(&self, at: &'a mut Json, step: &Step, path: &mut String) -> Result<&'a mut Json> {
        if at.is_null() && matches!(step, Step::Key(_)) {
            *at = Json::Object(serde_json::Map::new());
        }
        let index = match step {
            Step::Index(index) => Some(*index),
            Step::Key(key) if at.is_array() => key.parse().ok(),
            Step::Key(_) => None,
        };
        let what = kind(at);
        match (at, index, step) {
            (Json::Object(map), None, Step::Key(key)) => {
                push(path, key);
                Ok(map.entry(key.as_str()).or_insert(Json::Null))
            }
            (Json::Array(list), Some(index), _) => {
                let length = list.len();
                let missing = format!("has {length} elements, there is no [{index}]");
                let found = list.get_mut(index).ok_or_else(|| self.wrong(path, &missing))?;
                path.push_str(&format!("[{index}]"));
                Ok(found)
            }
            (_, _, Step::Key(key)) => {
                Err(self.wrong(path, &format!("is {what}, which has no key `{key}`")))
            }
            (_, _, Step::Index(index)) => {
                Err(self.wrong(path, &format!("is {what}, which has no element [{index}]")))
            }
        }
    }

    fn wrong(&self, path: &str, message: &str) -> Error {
        let place = if path.is_empty() { "the configuration".into() } else { format!("`{path}`") };
        Error::config("", format!("--set {}: {place} {message}", self.text))
    }

    /// Whether an error at this JSON path comes from what was set here, rather than from the file.
    pub fn holds(&self, path: &str) -> bool {
        let own = self.steps.iter().fold(String::new(), |mut own, step| {
            match step {
                Step::Key(key) => push(&mut own, key),
                Step::Index(index) => own.push_str(&format!("[{index}]")),
            }
            own
        });
        // `callbacks.0.x` on the command line is `callbacks[0].x` in an error.
        let plain = |path: &str| path.replace('[', ".").replace(']', "");
        let (own, path) = (plain(&own), plain(path));
        path == own || path.strip_prefix(&own).is_some_and(|rest| rest.starts_with('.'))
    }

    /// Names this `--set` as the place of an error.
    pub fn blame(&self, error: Error) -> Error {
        match error {
            Error::Config { path, message, file: None, .. } => {
                Error::config(path, format!("{message} (from --set {})", self.text))
            }
            other => other,
        }
    }
}

fn push(path: &mut String, key: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(key);
}

fn kind(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "true or false",
        Json::Number(_) => "a number",
        Json::String(_) => "a string",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn apply(text: &str) -> std::result::Result<Json, String> {
        let mut document = json!({"fit": {"epochs": 1}, "callbacks": [{"config": {}}, [1, 2]], "model": "m.keras"});
        let parsed: Override = text.parse()?;
        parsed.apply(&mut document).map_err(|e| e.to_string())?;
        Ok(document)
    }

    #[test]
    fn values_are_set() {
        for (text, pointer, value) in [
            ("fit.epochs=3", "/fit/epochs", json!(3)),
            ("fit.seed=7", "/fit/seed", json!(7)),
            ("fit.validation_split=0.25", "/fit/validation_split", json!(0.25)),
            ("fit.learning_rate=-1.5e-3", "/fit/learning_rate", json!(-0.0015)),
            ("fit.seed=\"7\"", "/fit/seed", json!("7")),
            ("fit.shuffle=false", "/fit/shuffle", json!(false)),
            ("fit.verbose=auto", "/fit/verbose", json!("auto")),
            ("output.model=a=b.keras", "/output/model", json!("a=b.keras")),
            ("callbacks[0].config.patience=2", "/callbacks/0/config/patience", json!(2)),
            ("callbacks.0.config.patience=2", "/callbacks/0/config/patience", json!(2)),
            ("callbacks[1][0]=null", "/callbacks/1/0", json!(null)),
            ("compile={\"loss\": \"mse\"}", "/compile/loss", json!("mse")),
            ("model=", "/model", json!("")),
        ] {
            assert_eq!(apply(text).unwrap().pointer(pointer), Some(&value), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_set_is_refused() {
        for (text, message) in [
            ("fit.epochs", "needs the form KEY.PATH=VALUE"),
            ("=3", "is not a path"),
            ("fit..epochs=3", "is not a path"),
            ("callbacks[x]=3", "an index that is not a number"),
            ("callbacks[2]=3", "`callbacks` has 2 elements, there is no [2]"),
            ("callbacks[0][0]=3", "`callbacks[0]` is an object, which has no element [0]"),
            (
                "model.config.layers[0].config.units=3",
                "`model` is a string, which has no key `config`",
            ),
            ("callbacks.first=3", "`callbacks` is a list, which has no key `first`"),
        ] {
            let error = apply(text).unwrap_err();
            assert!(error.contains(message), "{text}: {error}");
        }
    }

    #[test]
    fn errors_are_traced_to_it() {
        let set: Override = "callbacks.0.config={}".parse().unwrap();
        assert!(set.holds("callbacks[0].config.patience") && set.holds("callbacks[0].config"));
        assert!(!set.holds("callbacks[0]") && !set.holds("callbacks[0].configs"));
        let text = set.blame(Error::config("callbacks[0].config", "is wrong")).to_string();
        assert_eq!(text, "at `callbacks[0].config`: is wrong (from --set callbacks.0.config={})");
    }
}
