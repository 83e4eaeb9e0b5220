//! A whole model from a file of any Keras.

use crate::archive::Place;
use crate::h5::{H5Contents, SIGNATURE};
use crate::legacy_h5::{self, LayerWeights};
use crate::{Array, KerasArchive, NamedTensors};
use sconce_core::{Error, Json, Result};
use serde_json::json;
use std::io::Read;
use std::path::Path;

/// The weights of a model, as a file holds them.
#[derive(Clone, Debug, PartialEq)]
pub enum StoredWeights {
    /// By the paths of objects, as `.keras` archives and `.weights.h5` files have them.
    ByPath(NamedTensors),
    /// By layer, as the older HDF5 format has them.
    ByLayer(LayerWeights),
}

/// A whole model as a file holds it. What its first bytes are decides how it is read, not its name: a
/// `.keras` archive, or the older HDF5 format (`.h5`, `.hdf5`).
///
/// ```no_run
/// # fn main() -> sconce_core::Result<()> {
/// let file = sconce_saving::ModelFile::read("model.h5")?;
/// println!("{}", file.written_by());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ModelFile {
    /// The serialized model in the form of the Keras that wrote it.
    pub config: Json,
    /// How it was compiled, in the form of that Keras.
    pub compile_config: Option<Json>,
    /// `{"keras_version", ..}`.
    pub metadata: Json,
    /// Its weights.
    pub weights: StoredWeights,
    /// The optimizer's variables in its order, with their names where the format keeps them.
    pub optimizer: Vec<(Option<String>, Array)>,
}

impl ModelFile {
    /// Reads a file.
    ///
    /// # Errors
    /// A file that is no model, or is damaged.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        if !is_hdf5(path)? {
            return KerasArchive::read(path).map(Self::from);
        }
        let bytes =
            std::fs::read(path).map_err(|e| Error::file(path, format!("cannot be read: {e}")))?;
        Self::from_h5_bytes(bytes, path)
    }

    /// Reads the bytes of a file; `name` is what errors call it.
    ///
    /// # Errors
    /// As [`ModelFile::read`].
    pub fn from_bytes(bytes: Vec<u8>, name: impl AsRef<Path>) -> Result<Self> {
        match bytes.starts_with(SIGNATURE) {
            true => Self::from_h5_bytes(bytes, name.as_ref()),
            false => KerasArchive::from_bytes(&bytes, name).map(Self::from),
        }
    }

    fn from_h5_bytes(bytes: Vec<u8>, file: &Path) -> Result<Self> {
        let place = Place { file, member: None };
        let model = legacy_h5::model(H5Contents::read(bytes, &place)?, &place)?;
        Ok(Self {
            config: model.config,
            compile_config: model.training_config,
            metadata: json!({
                "keras_version": model.weights.keras_version, "backend": model.weights.backend,
            }),
            weights: StoredWeights::ByLayer(model.weights),
            optimizer: model
                .optimizer
                .into_iter()
                .map(|(name, array)| (Some(name), array))
                .collect(),
        })
    }

    /// The version of the Keras that wrote it, if the file says.
    pub fn keras_version(&self) -> Option<&str> {
        self.metadata.get("keras_version").and_then(Json::as_str)
    }

    /// The major version of the Keras that wrote it: archives without one are of Keras 3, HDF5 files of
    /// Keras 1.
    pub fn keras_major(&self) -> u32 {
        match (self.keras_version(), &self.weights) {
            (Some(version), _) => sconce_model::legacy::major_of(version),
            (None, StoredWeights::ByPath(_)) => 3,
            (None, StoredWeights::ByLayer(_)) => 1,
        }
    }

    /// Who wrote it and how, for people: "Keras 2.2.4 (tensorflow), HDF5".
    pub fn written_by(&self) -> String {
        let keras = match self.keras_version() {
            Some(version) => format!("Keras {version}"),
            None => "an unknown version of Keras".to_string(),
        };
        let backend = self.metadata.get("backend").and_then(Json::as_str);
        let backend = backend.map(|backend| format!(" ({backend})")).unwrap_or_default();
        let format = match self.weights {
            StoredWeights::ByPath(_) => "a .keras archive",
            StoredWeights::ByLayer(_) => "HDF5",
        };
        format!("{keras}{backend}, {format}")
    }
}

impl From<KerasArchive> for ModelFile {
    fn from(archive: KerasArchive) -> Self {
        let KerasArchive { mut config, metadata, weights } = archive;
        let weights = with_keras_3_paths(weights);
        let compile = config.as_object_mut().and_then(|map| map.shift_remove("compile_config"));
        let optimizer = weights.numbered("optimizer/vars").into_iter().cloned();
        Self {
            compile_config: compile.filter(|c| c.as_object().is_some_and(|map| !map.is_empty())),
            optimizer: optimizer.map(|array| (None, array)).collect(),
            config,
            metadata,
            weights: StoredWeights::ByPath(weights),
        }
    }
}

impl StoredWeights {
    /// Reads the weights of an HDF5 file: Keras 3's `.weights.h5`, or the older format with or without a
    /// model beside them.
    ///
    /// # Errors
    /// A file that is damaged or no HDF5.
    pub fn read_h5(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes =
            std::fs::read(path).map_err(|e| Error::file(path, format!("cannot be read: {e}")))?;
        let place = Place { file: path, member: None };
        let contents = H5Contents::read(bytes, &place)?;
        match legacy_h5::is_legacy(&contents) {
            true => legacy_h5::weights(contents, &place).map(Self::ByLayer),
            false => Ok(Self::ByPath(with_keras_3_paths(contents.tensors))),
        }
    }
}

/// Keras 2.12 and 2.13 called the list of layers by another name, and on Windows separated names by
/// backslashes. Paths that would become one are left as they are, and are missed or left over.
fn with_keras_3_paths(weights: NamedTensors) -> NamedTensors {
    const LAYERS: &str = "_layer_checkpoint_dependencies";
    let is_old = |path: &str| path.contains('\\') || path.split('/').any(|part| part == LAYERS);
    if !weights.iter().any(|(path, _)| is_old(path)) {
        return weights;
    }
    let renamed = |path: &str| -> String {
        let parts =
            path.split(['/', '\\']).map(|part| if part == LAYERS { "layers" } else { part });
        parts.collect::<Vec<_>>().join("/")
    };
    let mut out = NamedTensors::new();
    let inserted = weights.iter().map(|(path, array)| out.insert(renamed(path), array.clone()));
    match inserted.collect::<Result<()>>() {
        Ok(()) => out,
        Err(_) => weights,
    }
}

/// Whether a file is HDF5, by its first bytes.
///
/// # Errors
/// A file that cannot be read.
pub fn is_hdf5(path: &Path) -> Result<bool> {
    let cannot = |e: std::io::Error| Error::file(path, format!("cannot be read: {e}"));
    let file = std::fs::File::open(path).map_err(cannot)?;
    let mut head = Vec::new();
    if file.metadata().map_err(cannot)?.is_file() {
        file.take(SIGNATURE.len() as u64).read_to_end(&mut head).map_err(cannot)?;
    }
    Ok(head == SIGNATURE)
}
