//! One golden group: `tests/golden/GROUP.json`, the index, and `GROUP.safetensors`, the tensors.

use crate::devices;
use candle_core::{Device, Tensor};
use serde_json::Value as Json;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A golden file by its name in the folder.
pub fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(file)
}

/// All cases of a group, in the index's order.
pub fn load(group: &str) -> Vec<Case> {
    read(&path(""), group, &Device::Cpu)
}

/// All cases of a group on each of the [`devices()`](crate::devices()), where their tensors are.
pub fn load_on_devices(group: &str) -> Vec<Case> {
    devices().iter().flat_map(|device| read(&path(""), group, device)).collect()
}

/// Checks every case, and panics with the messages of all that fail.
pub fn check_each(cases: impl IntoIterator<Item = Case>, check: impl Fn(&Case)) {
    let failure = |case: Case| -> Option<String> {
        let panic = catch_unwind(AssertUnwindSafe(|| check(&case))).err()?;
        let text = panic.downcast_ref::<&str>().map(|text| text.to_string());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        Some(format!("{} on {:?}: {text}", case.name(), case.device.location()))
    };
    let failures: Vec<String> = cases.into_iter().filter_map(failure).collect();
    assert!(failures.is_empty(), "{} cases fail:\n{}", failures.len(), failures.join("\n"));
}

fn read(folder: &Path, group: &str, device: &Device) -> Vec<Case> {
    let index = folder.join(format!("{group}.json"));
    let tensors = folder.join(format!("{group}.safetensors"));
    let text = std::fs::read_to_string(&index)
        .unwrap_or_else(|error| panic!("{}: {error}", index.display()));
    let document: Json =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", index.display()));
    let tensors = candle_core::safetensors::load(&tensors, device)
        .unwrap_or_else(|error| panic!("{}: {error}", tensors.display()));
    let tensors = Arc::new(tensors);
    let cases = document["cases"].as_array().unwrap_or_else(|| panic!("{group}: no cases"));
    let case = |fields: &Json| Case {
        fields: fields.clone(),
        tensors: tensors.clone(),
        device: device.clone(),
    };
    cases.iter().map(case).collect()
}

/// One case of a group.
pub struct Case {
    fields: Json,
    tensors: Arc<HashMap<String, Tensor>>,
    device: Device,
}

impl Case {
    /// Its name, unique in the group: `relu/max_value=2.0`.
    pub fn name(&self) -> &str {
        self.fields["name"].as_str().unwrap_or_else(|| panic!("a case without name"))
    }

    /// Where its tensors are.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// What Keras serialises for the object under test.
    pub fn config(&self) -> &Json {
        self.field("config")
    }

    /// A further key of the case; null if it is not there.
    pub fn field(&self, key: &str) -> &Json {
        &self.fields[key]
    }

    /// Whether the case has a tensor (or a list of them) in this role.
    pub fn has(&self, role: &str) -> bool {
        !self.fields["tensors"][role].is_null()
    }

    /// The tensor in a role.
    pub fn tensor(&self, role: &str) -> Tensor {
        self.named(role, &self.fields["tensors"][role])
    }

    /// The list of tensors in a role; `None` where Keras was given none.
    pub fn tensors(&self, role: &str) -> Vec<Option<Tensor>> {
        let list = self.fields["tensors"][role].as_array();
        let list = list.unwrap_or_else(|| panic!("{}: `{role}` is no list", self.name()));
        list.iter().map(|name| (!name.is_null()).then(|| self.named(role, name))).collect()
    }

    fn named(&self, role: &str, name: &Json) -> Tensor {
        let tensor = name.as_str().and_then(|name| self.tensors.get(name));
        tensor.unwrap_or_else(|| panic!("{}: no tensor `{role}` ({name})", self.name())).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cases() -> Vec<Case> {
        let folder = tempfile::tempdir().unwrap();
        let index = r#"{"cases": [
            {"name": "a/b", "config": "relu", "more": 1, "tensors": {"x": "one", "y": ["two", null]}}]}"#;
        std::fs::write(folder.path().join("some.json"), index).unwrap();
        let one = Tensor::new(&[1f32, 2.0], &Device::Cpu).unwrap();
        let two = Tensor::new(3f64, &Device::Cpu).unwrap();
        let tensors = HashMap::from([("one", one), ("two", two)]);
        candle_core::safetensors::save(&tensors, folder.path().join("some.safetensors")).unwrap();
        read(folder.path(), "some", &Device::Cpu)
    }

    #[test]
    fn reads_a_group() {
        let case = &cases()[0];
        assert_eq!((case.name(), case.config()), ("a/b", &Json::from("relu")));
        assert!(case.field("more") == 1 && case.field("nothing").is_null());
        assert!(case.has("x") && case.has("y") && !case.has("nothing"));
        assert_eq!(case.tensor("x").to_vec1::<f32>().unwrap(), [1.0, 2.0]);
        let list = case.tensors("y");
        assert_eq!(list[0].as_ref().unwrap().to_scalar::<f64>().unwrap(), 3.0);
        assert!(list.len() == 2 && list[1].is_none());
    }

    #[test]
    #[should_panic(expected = "2 cases fail:\na/b on Cpu: a/b has no z\na/b on Cpu: a/b has no z")]
    fn all_failures_are_listed() {
        let twice = cases().into_iter().chain(cases());
        check_each(twice, |case| assert!(case.has("z"), "{} has no z", case.name()));
    }

    #[test]
    #[should_panic(expected = "a/b: no tensor `nothing`")]
    fn names_what_is_missing() {
        cases()[0].tensor("nothing");
    }
}
