//! What is the same for every row of every table: its JSON goes both ways, and keys that it does not
//! have are refused.

use sconce::core::{Kind, Part};
use serde_json::{Value as Json, json};

/// A configuration of one row. Keys at their defaults prove nothing: give other values.
pub struct ObjectCase {
    pub class_name: &'static str,
    pub config: Json,
}

pub fn case(class_name: &'static str, config: Json) -> ObjectCase {
    ObjectCase { class_name, config }
}

/// Checks that every row of a table has a case, and every case in JSON.
pub fn check<K: Kind>(cases: &[ObjectCase]) {
    for entry in K::entries() {
        let name = entry.class_name;
        assert!(cases.iter().any(|case| case.class_name == name), "{name} has no case");
        let schema = (entry.schema)(&mut sconce::core::schema::Definitions::new());
        assert!(schema["description"].is_string(), "{name} has no doc comment");
        for (key, argument) in schema["properties"].as_object().unwrap() {
            let described = argument["description"].is_string() || argument.get("const").is_some();
            assert!(described || key == "dtype", "{name}: `{key}` has no doc comment");
        }
    }
    for ObjectCase { class_name, config } in cases {
        let name = format!("{class_name} {config}");
        let document = json!({"class_name": class_name, "config": config});
        let read = |document: &Json| {
            Part::<K>::from_json(document).unwrap_or_else(|error| panic!("{name}: {error}"))
        };
        let written = read(&document).to_json().unwrap();
        for (key, value) in config.as_object().unwrap() {
            assert_eq!(&written["config"][key], value, "{name}: {key}");
        }
        let again = read(&written).to_json().unwrap();
        assert_eq!(written.to_string(), again.to_string(), "{name}");
        let mut wrong = written;
        wrong["config"]["unknwon_key"] = json!(1);
        let error = Part::<K>::from_json(&wrong).unwrap_err().to_string();
        assert!(error.starts_with("at `config.unknwon_key`: unknown key"), "{name}: {error}");
    }
}
