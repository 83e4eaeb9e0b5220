//! Models in files: Keras's `.keras` with everything to go on training, safetensors for weights.

use crate::compile::Compile;
use crate::model::Model;
use sconce_core::{Device, Error, FirstValues, Json, Result};
use sconce_saving::network::{self, OptimizerVariables};
use sconce_saving::{KerasArchive, NamedTensors, SafetensorsFile};
use std::path::Path;

impl Model {
    /// Writes the model to a `.keras` file that Keras 3 opens: architecture, weights and, if it is
    /// compiled, the compile state with all of the optimizer's variables. The old file stays until
    /// the new one is whole.
    ///
    /// # Errors
    /// If the model is not built, holds your own layers, or the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        self.to_archive()?.write(path.as_ref())
    }

    fn to_archive(&self) -> Result<KerasArchive> {
        let network = self.network()?;
        let (mut compile, mut optimizer) = (None, None);
        if let Some(compiled) = &self.compiled {
            compile = Some(compiled.to_json()?);
            if let Some(state) = compiled.optimizer_state() {
                let class_name = state.optimizer().class_name().to_string();
                let config = state.optimizer().config();
                let name = config.and_then(|c| c.get("name")).and_then(Json::as_str);
                optimizer = Some(OptimizerVariables {
                    name: name.map_or_else(|| class_name.to_lowercase(), str::to_string),
                    class_name,
                    variables: state.variables()?.into_iter().map(|(_, v)| v).collect(),
                });
            }
        }
        network::to_archive(network, compile, optimizer.as_ref())
    }

    /// Reads a `.keras` file that Keras 3 or [`Model::save`] wrote, with its compile state and
    /// optimizer variables. Nothing in the file is ever executed.
    ///
    /// # Errors
    /// Everything in the file that is not supported, in one message, each with its path.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        Self::load_on(path, &Device::Cpu)
    }

    /// [`Model::load`], onto a device.
    pub fn load_on(path: impl AsRef<Path>, device: &Device) -> Result<Self> {
        let path = path.as_ref();
        let archive = KerasArchive::read(path)?;
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
            state.set_variables(&variables).map_err(|e| Error::file(path, e.to_string()))?;
        }
        Ok(model)
    }

    /// Reads architecture and weights only (Keras's `load_model(path, compile=False)`): enough to
    /// predict, whatever the file was compiled with.
    pub fn load_without_compile(path: impl AsRef<Path>, device: &Device) -> Result<Self> {
        let path = path.as_ref();
        let mut archive = KerasArchive::read(path)?;
        if let Some(config) = archive.config.as_object_mut() {
            config.shift_remove("compile_config");
        }
        Self::from_archive(&archive, path, device)
    }

    fn from_archive(archive: &KerasArchive, path: &Path, device: &Device) -> Result<Self> {
        let (architecture, network) = network::from_archive(archive, path, device)?;
        let mut model = match network {
            Some(network) => Self::from_network(network),
            None => Self::of(architecture),
        };
        model.set_device(device);
        Ok(model)
    }

    /// Writes the weights: to a safetensors file by path ("dense/kernel"), with the architecture in its
    /// metadata unless it holds your own layers; or, if the name ends in `.weights.h5`, to a file that
    /// Keras's `load_weights` reads, which holds the optimizer's variables too.
    pub fn save_weights(&self, path: impl AsRef<Path>) -> Result<()> {
        if is_h5(path.as_ref()) {
            return self.to_archive()?.weights.write_h5(path);
        }
        let mut file = SafetensorsFile::new(network::to_named(self.network()?)?);
        if let Ok(json) = self.to_json() {
            file = file.with_architecture(json);
        }
        file.write(path)
    }

    /// Reads architecture and weights from a safetensors file that [`Model::save_weights`] wrote.
    ///
    /// # Errors
    /// A file of somebody else's, without an architecture; weights that do not fit it.
    pub fn load_safetensors(path: impl AsRef<Path>, device: &Device) -> Result<Self> {
        let path = path.as_ref();
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

/// Whether a file of weights is Keras's, as Keras tells by its name.
fn is_h5(path: &Path) -> bool {
    path.to_str().is_some_and(|path| path.ends_with(".weights.h5"))
}
