//! What must hold for every row of every registry: tests of a kind walk its table with this.

use sconce_core::{Json, Kind, Part};
use sconce_testkit::golden::{self, Case};
use serde_json::json;

/// Looks every row up by all of its names, writes and reads it, key by key in order, and misspells it. `keras` lists Keras's
/// class names with their configurations as Keras writes them.
pub fn check_rows<K: Kind>(keras: &[(&str, Json)]) {
    let written: Vec<&str> = K::entries().iter().map(|entry| entry.class_name).collect();
    let expected: Vec<&str> = keras.iter().map(|(name, _)| *name).collect();
    assert_eq!(written, expected);
    for (entry, (name, config)) in K::entries().iter().zip(keras) {
        let part = Part::<K>::new(name, json!({})).unwrap();
        let document = json!({
            "module": K::MODULE, "class_name": name, "config": config, "registered_name": null,
        });
        let written = |part: &Part<K>| part.to_json().unwrap().to_string();
        assert_eq!(written(&part), document.to_string(), "the defaults of {name}");
        let read = Part::<K>::from_json(&document).unwrap();
        assert_eq!(written(&read), document.to_string(), "{name} after a round trip");
        for alias in entry.aliases.iter().chain([name]) {
            assert_eq!(Part::<K>::from(*alias).class_name(), *name);
            assert!(Part::<K>::from(*alias).get().is_ok(), "{alias}");
        }
        refuses::<K>(
            json!({"class_name": name, "config": {"sed": 1}}),
            "config.sed",
            "unknown key `sed`",
        );
        // One letter missing, from a name long enough for that to be no other name.
        let alias = entry.aliases.first().unwrap_or(name);
        if alias.len() > 5 {
            let misspelled = &alias[..alias.len() - 1];
            let error = Part::<K>::from(misspelled).get().err().unwrap().to_string();
            let hint = format!("unknown {} `{misspelled}`. Did you mean `{alias}`?", K::NAME);
            assert!(error.starts_with(&hint), "{error}");
        }
    }
}

/// Knows every name that Keras's index of a golden group lists, and reads and writes every
/// configuration in it; gives each case with its part to `check`.
pub fn check_golden<K: Kind>(group: &str, check: impl Fn(&Case, &Part<K>)) {
    let index = std::fs::read_to_string(golden::path(&format!("{group}.json"))).unwrap();
    let index: Json = serde_json::from_str(&index).unwrap();
    // Keras also lists the base class, which is no member.
    let base = K::NAME.to_lowercase();
    for (alias, class_name) in index["aliases"].as_object().unwrap() {
        if alias.to_lowercase() != base {
            assert_eq!(Json::from(Part::<K>::from(alias.as_str()).class_name()), *class_name);
        }
    }
    for case in golden::load(group) {
        let part = Part::<K>::from_json(case.config()).unwrap();
        let written = part.to_json().unwrap();
        for (key, value) in case.config()["config"].as_object().unwrap() {
            let ours = &written["config"][key];
            let equal = ours == value || (ours.is_number() && ours.as_f64() == value.as_f64());
            let renamed = value == "normal" && ours == "truncated_normal";
            assert!(equal || renamed, "{}: {key} is {ours}, expected {value}", case.name());
        }
        check(&case, &part);
    }
}

/// Reading `document` is an error at `path` that says `message`.
#[track_caller]
pub fn refuses<K: Kind>(document: Json, path: &str, message: &str) {
    let error = Part::<K>::from_json(&document).err().map(|error| error.to_string());
    let error = error.unwrap_or_else(|| panic!("accepted {document}"));
    assert!(error.contains(&format!("at `{path}`: ")) && error.contains(message), "{error}");
}
