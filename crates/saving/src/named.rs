//! Arrays by path, in order: what a weights file holds.

use crate::Array;
use sconce_core::{Error, Result};
use std::collections::HashMap;

/// Arrays by path ("layers/dense/vars/0"), in the order of insertion, and the groups that Keras
/// writes even when they hold no array.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamedTensors {
    arrays: Vec<(String, Array)>,
    by_path: HashMap<String, usize>,
    groups: Vec<(String, Option<String>)>,
    by_group: HashMap<String, usize>,
}

impl NamedTensors {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an array. The path is names joined by slashes; adding the same path twice is an error.
    pub fn insert(&mut self, path: impl Into<String>, array: Array) -> Result<()> {
        let path = path.into();
        check_path(&path)?;
        if self.by_path.contains_key(&path) {
            return Err(Error::data(format!("the array `{path}` is given twice")));
        }
        self.by_path.insert(path.clone(), self.arrays.len());
        self.arrays.push((path, array));
        Ok(())
    }

    /// Declares a group, so that it exists in the file even if it stays empty. `name` is the object
    /// that Keras writes as the group's attribute `name` ("dense", "adam"); Keras ignores it when it
    /// reads.
    pub fn insert_group(&mut self, path: impl Into<String>, name: Option<&str>) -> Result<()> {
        let path = path.into();
        check_path(&path)?;
        let name = name.map(str::to_string);
        match self.by_group.get(&path).and_then(|i| self.groups.get_mut(*i)) {
            Some(group) => group.1 = name.or(group.1.take()),
            None => {
                self.by_group.insert(path.clone(), self.groups.len());
                self.groups.push((path, name));
            }
        }
        Ok(())
    }

    /// The array at a path.
    pub fn get(&self, path: &str) -> Option<&Array> {
        self.by_path.get(path).and_then(|i| self.arrays.get(*i)).map(|(_, array)| array)
    }

    /// The arrays `group/0`, `group/1`, ... in that order, as Keras numbers the variables of one
    /// object; empty if the group has none.
    pub fn numbered(&self, group: &str) -> Vec<&Array> {
        (0..).map_while(|i| self.get(&format!("{group}/{i}"))).collect()
    }

    /// All arrays with their paths, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Array)> {
        self.arrays.iter().map(|(path, array)| (path.as_str(), array))
    }

    /// All arrays by path.
    pub(crate) fn into_map(self) -> HashMap<String, Array> {
        self.arrays.into_iter().collect()
    }

    /// All declared groups with the names they carry, in order.
    pub fn groups(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.groups.iter().map(|(path, name)| (path.as_str(), name.as_deref()))
    }

    /// Number of arrays.
    pub fn len(&self) -> usize {
        self.arrays.len()
    }

    /// Whether there is no array.
    pub fn is_empty(&self) -> bool {
        self.arrays.is_empty()
    }

    /// Bytes of all arrays together.
    pub fn total_bytes(&self) -> u64 {
        self.arrays.iter().map(|(_, array)| array.bytes().len() as u64).sum()
    }
}

fn check_path(path: &str) -> Result<()> {
    let bad = |part: &str| part.is_empty() || part == "." || part == ".." || part.contains('\0');
    if path.split('/').any(bad) {
        return Err(Error::data(format!("`{path}` is not a path of names joined by slashes")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Element;

    fn byte(value: u8) -> Array {
        Array::new(Element::Uint8, &[], vec![value]).unwrap()
    }

    #[test]
    fn order_is_that_of_insertion_and_numbers_are_numbers() {
        let mut tensors = NamedTensors::new();
        for i in [10, 2, 0, 1, 3] {
            tensors.insert(format!("optimizer/vars/{i}"), byte(i)).unwrap();
        }
        let order: Vec<&str> = tensors.iter().map(|(path, _)| path).collect();
        assert_eq!(order[..2], ["optimizer/vars/10", "optimizer/vars/2"]);
        let numbered: Vec<u8> =
            tensors.numbered("optimizer/vars").iter().map(|a| a.bytes()[0]).collect();
        assert_eq!(numbered, [0, 1, 2, 3]);
        assert_eq!(tensors.total_bytes(), 5);
        assert!(tensors.numbered("layers/dense/vars").is_empty());
    }

    #[test]
    fn a_group_keeps_its_name() {
        let mut tensors = NamedTensors::new();
        tensors.insert_group("layers/dense/vars", Some("dense")).unwrap();
        tensors.insert_group("layers/dense/vars", None).unwrap();
        assert_eq!(tensors.groups().collect::<Vec<_>>(), [("layers/dense/vars", Some("dense"))]);
    }

    #[test]
    fn bad_paths_and_doubles_are_errors() {
        let mut tensors = NamedTensors::new();
        for path in ["", "/a", "a//b", "a/", "../a", "a/./b", "a\0"] {
            assert!(tensors.insert(path, byte(0)).is_err(), "{path:?}");
            assert!(tensors.insert_group(path, None).is_err(), "{path:?}");
        }
        tensors.insert("a", byte(0)).unwrap();
        assert!(
            tensors.insert("a", byte(0)).unwrap_err().to_string().contains("`a` is given twice")
        );
    }
}
