//! Models in files: Keras's `.keras` with everything to go on training, safetensors for weights.

use crate::callbacks::warn;
use crate::compile::Compile;
use crate::compiled::Compiled;
use crate::model::Model;
use sconce_core::{Device, Error, FirstValues, Json, Result};
use sconce_saving::network::{self, OptimizerVariables};
use sconce_saving::{KerasArchive, NamedTensors, SafetensorsFile};
use std::path::Path;

/// How a model is loaded: `LoadOptions::new().device(&device).compile(false)`.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    device: Device,
    compile: bool,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self { device: Device::Cpu, compile: true }
    }
}

impl LoadOptions {
    /// Onto the CPU, with the compile state.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the device.
    pub fn device(mut self, device: &Device) -> Self {
        self.device = device.clone();
        self
    }

    /// Sets whether the compile state and the optimizer's variables are read too, as Keras's
    /// `load_model(path, compile=False)`. Without them a model predicts, whatever it was compiled with.
    pub fn compile(mut self, compile: bool) -> Self {
        self.compile = compile;
        self
    }
}

/// Where a `.keras` file's metadata hold what Keras has no place for, and the columns of a CSV file
/// there.
const METADATA_KEY: &str = "sconce";
const CSV_KEY: &str = "csv";

impl Model {
    /// Writes the model to a `.keras` file that Keras 3 opens: architecture, weights and, if it is
    /// compiled, the compile state with all of the optimizer's variables. The old file stays until
    /// the new one is whole.
    ///
    /// A loss or metric of your own that has no name in files leaves the compile state out, with a
    /// warning: such a file predicts, and is compiled again to train on.
    ///
    /// # Errors
    /// If the model is not built, holds layers of your own without a configuration, or the file cannot
    /// be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        self.to_archive()?.write(path.as_ref())
    }

    fn to_archive(&self) -> Result<KerasArchive> {
        let network = self.network()?;
        let compile = match self.compiled.as_ref().map(Compiled::to_json).transpose() {
            Ok(compile) => compile,
            Err(error) => {
                warn(&format!(
                    "the file is written without how the model was compiled: {error}. To train on, \
                     compile the loaded model again"
                ));
                None
            }
        };
        let optimizer = match &compile {
            Some(_) => self.optimizer_variables()?,
            None => None,
        };
        let mut archive = network::to_archive(network, compile, optimizer.as_ref())?;
        if let Some(columns) = self.csv_columns() {
            let columns = serde_json::to_value(columns).map_err(|e| Error::data(e.to_string()))?;
            archive.metadata[METADATA_KEY] = serde_json::json!({ CSV_KEY: columns });
        }
        Ok(archive)
    }

    fn optimizer_variables(&self) -> Result<Option<OptimizerVariables>> {
        let state = self.compiled.as_ref().and_then(Compiled::optimizer_state);
        let Some(state) = state else { return Ok(None) };
        let class_name = state.optimizer().class_name().to_string();
        let config = state.optimizer().config();
        let name = config.and_then(|c| c.get("name")).and_then(Json::as_str);
        Ok(Some(OptimizerVariables {
            name: name.map_or_else(|| class_name.to_lowercase(), str::to_string),
            class_name,
            variables: state.variables()?.into_iter().map(|(_, v)| v).collect(),
        }))
    }

    /// Finds out before training whether the model can be written to a `.keras` file.
    ///
    /// # Errors
    /// A layer of your own without a configuration.
    pub(crate) fn check_can_be_saved(&self) -> Result<()> {
        self.network()?.to_json().map(drop)
    }

    /// Reads a `.keras` file that Keras 3 or [`Model::save`] wrote, with its compile state and
    /// optimizer variables. Nothing in the file is ever executed.
    ///
    /// # Errors
    /// Everything in the file that is not supported, in one message, each with its path.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        Self::load_with(path, LoadOptions::new())
    }

    /// [`Model::load`] with options: onto a device, without the compile state. Also reads architecture
    /// and weights from a `.safetensors` file that [`Model::save_weights`] wrote.
    ///
    /// # Errors
    /// As [`Model::load`]; a safetensors file of somebody else's, without an architecture.
    pub fn load_with(path: impl AsRef<Path>, options: LoadOptions) -> Result<Self> {
        let (path, device) = (path.as_ref(), &options.device);
        if path.extension().is_some_and(|ending| ending == "safetensors") {
            return Self::load_safetensors(path, device);
        }
        let mut archive = KerasArchive::read(path)?;
        if let (false, Some(config)) = (options.compile, archive.config.as_object_mut()) {
            config.shift_remove("compile_config");
        }
        let mut model = Self::from_archive(&archive, path, device)?;
        let compile = match archive.config.get("compile_config") {
            Some(config @ Json::Object(map)) if !map.is_empty() => config,
            _ => return Ok(model),
        };
        let in_file = |e: Error| Error::file(path, e.under("compile_config").to_string());
        model.compile_with(Compile::from_json(compile).map_err(in_file)?)?;
        let variables = network::optimizer_variables(&archive)?;
        if !variables.is_empty() && model.network().is_ok() {
            let state = model.compiled_mut()?.optimizer()?;
            // Keras 2 keeps other variables, in another order. As Keras 3, leave them.
            if is_of_keras_2(&archive) {
                warn(&format!(
                    "{}: the optimizer's variables are those of Keras 2 and are left; training goes on \
                     with fresh ones",
                    path.display()
                ));
                return Ok(model);
            }
            state.set_variables(&variables).map_err(|e| Error::file(path, e.to_string()))?;
        }
        Ok(model)
    }

    fn from_archive(archive: &KerasArchive, path: &Path, device: &Device) -> Result<Self> {
        let (architecture, network) = network::from_archive(archive, path, device)?;
        let mut model = match network {
            Some(network) => Self::from_network(network),
            None => Self::of(architecture),
        };
        model.set_device(device);
        // Metadata of somebody else's under this key is nothing to us.
        let columns = archive.metadata.get(METADATA_KEY).and_then(|own| own.get(CSV_KEY)).cloned();
        model.set_csv_columns(columns.and_then(|columns| serde_json::from_value(columns).ok()));
        Ok(model)
    }

    /// Writes the weights: to a safetensors file by path ("dense/kernel"), with the architecture in its
    /// metadata unless it holds your own layers; or, if the name ends in `.weights.h5`, to a file that
    /// Keras's `load_weights` reads, which holds the optimizer's variables too.
    pub fn save_weights(&self, path: impl AsRef<Path>) -> Result<()> {
        if is_h5(path.as_ref()) {
            let optimizer = self.optimizer_variables()?;
            return network::to_weights(self.network()?, optimizer.as_ref())?.write_h5(path);
        }
        let mut file = SafetensorsFile::new(network::to_named(self.network()?)?);
        if let Ok(json) = self.to_json() {
            file = file.with_architecture(json);
        }
        file.write(path)
    }

    fn load_safetensors(path: &Path, device: &Device) -> Result<Self> {
        let file = SafetensorsFile::read(path)?;
        let json = file.architecture().ok_or_else(|| {
            let message = "holds weights without an architecture; make the model, then load them \
                           with `load_weights`";
            Error::file(path, message)
        })?;
        let build = || {
            let mut model = Self::from_json(json)?;
            model.set_device(device);
            if model.architecture().states_its_input() {
                model.build_for(None, FirstValues::Zeros)?;
            }
            network::from_named(model.network()?, &file.tensors)?;
            Ok(model)
        };
        build().map_err(|e: Error| Error::file(path, e.to_string()))
    }

    /// Reads the weights of this architecture from a safetensors file, or from a `.weights.h5` file of
    /// Keras, of which the optimizer's variables are left.
    ///
    /// # Errors
    /// A weight that is missing, left over, or of another shape; the model is then as it was.
    pub fn load_weights(&mut self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let network = self.network()?;
        let loaded = match is_h5(path) {
            true => network::load_weights(network, &NamedTensors::read_h5(path)?),
            false => network::from_named(network, &SafetensorsFile::read(path)?.tensors),
        };
        loaded.map_err(|e| Error::file(path, e.to_string()))
    }
}

fn is_of_keras_2(archive: &KerasArchive) -> bool {
    let version = archive.metadata.get("keras_version").and_then(Json::as_str);
    version.is_some_and(|version| version.starts_with("2."))
}

/// Whether a file of weights is Keras's, as Keras tells by its name.
fn is_h5(path: &Path) -> bool {
    path.to_str().is_some_and(|path| path.ends_with(".weights.h5"))
}
