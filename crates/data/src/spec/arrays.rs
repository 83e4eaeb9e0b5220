//! Arrays in `.npy` files, as run configurations name them.

use crate::datasets::Dataset;
use crate::messages::{count, unknown};
use crate::{check, npy::read_npy};
use sconce_core::schema::Definitions;
use sconce_core::value::mismatch;
use sconce_core::{Config, ConfigValue, Error, Json, Result, Tensor};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Arrays in `.npy` files, the first axis of each its rows.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
#[config(value)]
pub struct Arrays {
    /// The file of the input; of several inputs a list in the model's order, or an object by name.
    pub x: Files,
    /// The file of the targets; of several outputs a list in the model's order, or an object by
    /// name. Not needed to predict.
    #[config(skip_none)]
    pub y: Option<Files>,
    /// The file of a weight for each row; for several outputs a list or an object as `y` is one, or
    /// one file for all of them.
    #[config(skip_none)]
    pub sample_weight: Option<Files>,
}

/// One file or several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Files {
    /// One file.
    One(PathBuf),
    /// Several files, in the order of the model's inputs or outputs.
    Many(Vec<PathBuf>),
    /// Files by the names of the model's inputs or outputs.
    Named(BTreeMap<String, PathBuf>),
}

impl ConfigValue for Files {
    fn from_json(value: &Json) -> Result<Self> {
        match value {
            Json::String(file) => Ok(Self::One(file.into())),
            Json::Array(_) => Vec::from_json(value).map(Self::Many),
            Json::Object(_) => BTreeMap::from_json(value).map(Self::Named),
            other => {
                Err(mismatch("the name of a file, a list of names, or an object of names", other))
            }
        }
    }

    fn to_json(&self) -> Result<Json> {
        match self {
            Self::One(file) => file.to_json(),
            Self::Many(files) => files.to_json(),
            Self::Named(files) => files.to_json(),
        }
    }

    fn schema(definitions: &mut Definitions) -> Json {
        definitions.named("Files", |_| {
            let file = json!({"type": "string"});
            json!({"description": "One file or several.", "anyOf": [
                file,
                {"type": "array", "items": file, "minItems": 1},
                {"type": "object", "additionalProperties": file, "minProperties": 1},
            ]})
        })
    }
}

impl Files {
    /// The files in their order; those that have names in the order of the names.
    pub fn paths(&self) -> Vec<&Path> {
        match self {
            Self::One(file) => vec![file],
            Self::Many(files) => files.iter().map(PathBuf::as_path).collect(),
            Self::Named(files) => files.values().map(PathBuf::as_path).collect(),
        }
    }

    /// The names in the order of [`Files::paths`], where there are any.
    pub fn names(&self) -> Option<Vec<String>> {
        match self {
            Self::Named(files) => Some(files.keys().cloned().collect()),
            _ => None,
        }
    }

    fn not_empty(&self, key: &str) -> Result<()> {
        match self.paths().is_empty() {
            true => Err(Error::config(key, "is empty; name at least one file")),
            false => Ok(()),
        }
    }
}

impl Arrays {
    /// The file of the sample weights of each output; empty if there are none.
    ///
    /// # Errors
    /// An empty list; weights that are not given in the form of `y`.
    pub(crate) fn weight_paths(&self) -> Result<Vec<Option<&Path>>> {
        self.x.not_empty("x")?;
        self.y.iter().try_for_each(|y| y.not_empty("y"))?;
        let Some(weights) = &self.sample_weight else { return Ok(Vec::new()) };
        let wrong = |message: String| Err(Error::config("sample_weight", message));
        let outputs = self.y.as_ref().map_or(1, |y| y.paths().len());
        match (weights, &self.y) {
            (Files::One(file), _) => Ok(vec![Some(file); outputs]),
            (Files::Many(files), y) if !matches!(y, Some(Files::Named(_))) => {
                if files.len() != outputs {
                    return wrong(format!(
                        "lists {} for {} of y; give one for each, or one file for all",
                        count(files.len(), "file"),
                        count(outputs, "file")
                    ));
                }
                Ok(files.iter().map(|file| Some(file.as_path())).collect())
            }
            (Files::Named(files), Some(Files::Named(y))) => {
                if let Some(name) = files.keys().find(|name| !y.contains_key(*name)) {
                    let known: Vec<&String> = y.keys().collect();
                    return wrong(unknown("output", name, &known));
                }
                Ok(y.keys().map(|name| files.get(name).map(PathBuf::as_path)).collect())
            }
            (Files::Many(_), _) => wrong(
                "is a list, but y is an object; give both by name, or one file for all".into(),
            ),
            (Files::Named(_), _) => {
                wrong("is an object, but y is not; give both by name, or one file for all".into())
            }
        }
    }

    pub(super) fn files(&self) -> Vec<&Path> {
        let all = [Some(&self.x), self.y.as_ref(), self.sample_weight.as_ref()];
        all.into_iter().flatten().flat_map(Files::paths).collect()
    }

    pub(super) fn load(&self) -> Result<Dataset> {
        let weights = self.weight_paths()?;
        let read =
            |paths: &[&Path]| -> Result<Vec<Tensor>> { paths.iter().map(read_npy).collect() };
        let (x_paths, y_paths) =
            (self.x.paths(), self.y.as_ref().map(Files::paths).unwrap_or_default());
        let (x, y) = (read(&x_paths)?, read(&y_paths)?);
        let sample_weight: Vec<Option<Tensor>> =
            weights.iter().map(|path| path.map(read_npy).transpose()).collect::<Result<_>>()?;
        let named = x_paths.iter().zip(&x).chain(y_paths.iter().zip(&y)).map(|(p, t)| (*p, t));
        let weighted = weights.iter().zip(&sample_weight);
        let named: Vec<(String, &Tensor)> = named
            .chain(weighted.filter_map(|(path, tensor)| Some(((*path)?, tensor.as_ref()?))))
            .map(|(path, array)| (path.display().to_string(), array))
            .collect();
        check::rows(named.iter().map(|(name, array)| (name.as_str(), *array)))?;
        Ok(Dataset {
            x,
            x_names: self.x.names(),
            y,
            y_names: self.y.as_ref().and_then(Files::names),
            sample_weight,
            ..Dataset::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{DatasetSpec, load};
    use crate::{ToTensor, write_npy};
    use sconce_core::DType;

    /// A folder of x.npy [2, 2], a.npy and b.npy [2], short.npy [1], and how its files load.
    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let write = |name: &str, array: &dyn ToTensor| {
                write_npy(dir.path().join(name), &array.to_tensor().unwrap()).unwrap();
            };
            write("x.npy", &[[1f32, 2.], [3., 4.]]);
            write("a.npy", &[16_777_217i64, 1]);
            write("b.npy", &[0.5f64, 0.25]);
            write("short.npy", &[1f32]);
            Self(dir)
        }

        /// Loads a specification whose file names are those in the folder.
        fn load(&self, value: &Json) -> Result<Dataset> {
            let mut text = value.to_string();
            for name in ["x", "a", "b", "short", "no"] {
                let path = self.0.path().join(format!("{name}.npy"));
                text = text.replace(&format!("@{name}"), &path.display().to_string());
            }
            load(&DatasetSpec::from_json(&serde_json::from_str(&text).unwrap())?)
        }

        fn error(&self, value: &Json) -> String {
            self.load(value).unwrap_err().to_string()
        }
    }

    #[test]
    fn files_are_put_together() {
        let folder = Folder::new();
        let data =
            folder.load(&json!({"x": ["@x", "@a"], "y": "@b", "sample_weight": "@b"})).unwrap();
        assert_eq!((data.x.len(), data.y.len(), data.sample_weight.len()), (2, 1, 1));
        assert_eq!((data.x_names, data.y_names), (None, None));
        let text = folder.error(&json!({"x": "@x", "y": "@short"}));
        assert!(text.contains("x.npy has 2 rows") && text.contains("short.npy has 1"), "{text}");
        let text = folder.error(&json!({"x": "@no"}));
        assert!(text.contains("no.npy: cannot be read"), "{text}");
        let text = folder.error(&json!({"x": "@x", "y": "@a", "sample_weight": "@short"}));
        assert!(text.contains("short.npy has 1"), "{text}");
    }

    #[test]
    fn arrays_keep_their_types() {
        let folder = Folder::new();
        let data = folder.load(&json!({"x": "@a", "y": "@b"})).unwrap();
        assert_eq!(data.x[0].to_vec1::<i64>().unwrap(), [16_777_217, 1]);
        assert_eq!(data.y[0].dtype(), DType::F64);
    }

    #[test]
    fn names_stay_with_their_arrays() {
        let folder = Folder::new();
        let spec = json!({
            "x": {"second": "@a", "first": "@x"},
            "y": {"v": "@b", "u": "@a"},
            "sample_weight": {"v": "@b"},
        });
        let data = folder.load(&spec).unwrap();
        let place = |names: &Option<Vec<String>>, name: &str| {
            names.as_ref().unwrap().iter().position(|n| n == name).unwrap()
        };
        assert_eq!(data.x[place(&data.x_names, "first")].dims(), [2, 2]);
        assert_eq!(data.y[place(&data.y_names, "u")].dtype(), DType::I64);
        assert!(data.sample_weight[place(&data.y_names, "v")].is_some());
        assert!(data.sample_weight[place(&data.y_names, "u")].is_none());

        let data = data.in_order_of(&["first", "second"], &["v", "u"]).unwrap();
        assert_eq!((data.x[0].dims(), data.x[1].dims()), (&[2, 2][..], &[2][..]));
        assert_eq!(data.y[0].dtype(), DType::F64);
        assert!(data.sample_weight[0].is_some() && data.sample_weight[1].is_none());
    }

    #[test]
    fn weights_have_the_form_of_the_targets() {
        let folder = Folder::new();
        let weights = |y: Json, weight: Json| {
            folder.load(&json!({"x": "@x", "y": y, "sample_weight": weight}))
        };
        // As in Keras, one array weights every output.
        let data = weights(json!(["@a", "@b"]), json!("@b")).unwrap();
        assert!(data.sample_weight.iter().all(Option::is_some) && data.sample_weight.len() == 2);
        for (y, weight, expected) in [
            (json!(["@a", "@b"]), json!(["@b"]), "lists 1 file for 2 files of y"),
            (json!({"u": "@a"}), json!(["@b"]), "is a list, but y is an object"),
            (json!(["@a"]), json!({"u": "@b"}), "is an object, but y is not"),
            (json!({"out": "@a"}), json!({"outs": "@b"}), "output `outs`. Did you mean `out`?"),
        ] {
            let text = weights(y, weight).unwrap_err().to_string();
            assert!(text.contains("at `sample_weight`: ") && text.contains(expected), "{text}");
        }
        let text = weights(json!([]), json!("@b")).unwrap_err().to_string();
        assert!(text.contains("at `y`: is empty"), "{text}");
    }
}
