//! Models in files: Keras's `.keras` with everything to go on training, safetensors for weights.

use crate::compile::Compile;
use crate::compiled::Compiled;
use crate::model::Model;
use crate::{legacy_compile, legacy_optimizer};
use sconce_core::{Device, Error, FirstValues, Json, Result};
use sconce_saving::legacy_weights::WeightOptions;
use sconce_saving::model_file::is_hdf5;
use sconce_saving::network::{self, Loaded, OptimizerVariables};
use sconce_saving::{KerasArchive, ModelFile, SafetensorsFile, StoredWeights};
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

/// What became of a file.
#[derive(Clone, Debug, Default)]
pub struct LoadReport {
    /// Who wrote it and in which format: "Keras 2.2.4 (tensorflow), HDF5".
    pub written_by: String,
    /// What of an older Keras was read as something else that means the same.
    pub changes: Vec<String>,
    /// What could not be carried over; the model predicts all the same.
    pub left_out: Vec<String>,
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
                tracing::warn!(
                    "the file is written without how the model was compiled: {error}. To train on, \
                     compile the loaded model again"
                );
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

    /// Reads a whole model that any Keras or [`Model::save`] wrote, a `.keras` file or the older HDF5
    /// (`.h5`), with its compile state and optimizer variables. The first bytes of the file say which it is,
    /// not its name. Nothing in it is ever executed.
    ///
    /// Of files of Keras 1 and 2, a compile state that cannot be carried over is left out with a warning.
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
        let (model, report) = Self::load_with_report(path.as_ref(), options)?;
        for change in &report.changes {
            tracing::info!("{}: {change}", path.as_ref().display());
        }
        for left in &report.left_out {
            tracing::warn!("{}: {left}", path.as_ref().display());
        }
        Ok(model)
    }

    /// [`Model::load_with`], and what became of the file.
    ///
    /// # Errors
    /// As [`Model::load_with`].
    pub fn load_with_report(
        path: impl AsRef<Path>,
        options: LoadOptions,
    ) -> Result<(Self, LoadReport)> {
        let (path, device) = (path.as_ref(), &options.device);
        if path.extension().is_some_and(|ending| ending == "safetensors") && !is_hdf5(path)? {
            let report =
                LoadReport { written_by: "Sconce, safetensors".into(), ..Default::default() };
            return Ok((Self::load_safetensors(path, device)?, report));
        }
        let file = ModelFile::read(path)?;
        // Of an older file, what is not supported of its compile state is left out.
        let compile = file.compile_config.as_ref().filter(|_| options.compile && !is_legacy(&file));
        let Loaded { architecture, network, changes, rescaled } =
            network::from_file(&file, compile, path, device)?;
        let mut report =
            LoadReport { written_by: file.written_by(), changes, ..Default::default() };
        let mut model = match network {
            Some(network) => Self::from_network(network),
            None => Self::of(architecture),
        };
        model.set_device(device);
        // Metadata of somebody else's under this key is nothing to us.
        let columns = file.metadata.get(METADATA_KEY).and_then(|own| own.get(CSV_KEY)).cloned();
        model.set_csv_columns(columns.and_then(|columns| serde_json::from_value(columns).ok()));
        if options.compile {
            model.compile_as(&file, rescaled, path, &mut report)?;
        }
        Ok((model, report))
    }

    fn compile_as(
        &mut self,
        file: &ModelFile,
        rescaled: bool,
        path: &Path,
        report: &mut LoadReport,
    ) -> Result<()> {
        let Some(config) = &file.compile_config else { return Ok(()) };
        let in_file = |e: Error| Error::file(path, e.to_string());
        if !is_legacy(file) {
            let compile =
                Compile::from_json(config).map_err(|e| in_file(e.under("compile_config")))?;
            self.compile_with(compile)?;
            if !file.optimizer.is_empty() && self.network().is_ok() {
                self.restore_optimizer(file).map_err(in_file)?;
            }
            return Ok(());
        }
        let version = file.keras_version().unwrap_or("1");
        let compile =
            legacy_compile::translated(config, version).and_then(|c| Compile::from_json(&c));
        if let Err(error) = compile.and_then(|compile| self.compile_with(compile)) {
            report.left_out.push(format!(
                "how the model was compiled cannot be carried over; compile it again to train on: {error}"
            ));
            return Ok(());
        }
        if file.optimizer.is_empty() || self.network().is_err() {
            return Ok(());
        }
        let restored = match rescaled {
            true => Err(Error::data("weights were rescaled, which they do not fit")),
            false => self.restore_optimizer(file),
        };
        if let Err(error) = restored {
            report.left_out.push(format!(
                "the optimizer's variables are left out and training goes on with fresh ones: {error}"
            ));
        }
        Ok(())
    }

    fn restore_optimizer(&mut self, file: &ModelFile) -> Result<()> {
        let (network, compiled) = self.network_and_compiled()?;
        legacy_optimizer::restore(compiled, network.store(), file)
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

    /// Reads the weights of this architecture from a safetensors file, or from an HDF5 file of any Keras
    /// (`.weights.h5`, or the older `.h5` of weights or of a whole model), of which the optimizer's
    /// variables are left.
    ///
    /// # Errors
    /// A weight that is missing, left over, or of another shape; the model is then as it was.
    pub fn load_weights(&mut self, path: impl AsRef<Path>) -> Result<()> {
        self.load_weights_with(path, WeightOptions::default()).map(drop)
    }

    /// [`Model::load_weights`], of an older HDF5 file also by the names of layers, and those that fit
    /// only. Returns what was skipped.
    ///
    /// # Errors
    /// As [`Model::load_weights`], but for what is to be skipped; options for a file of another format.
    pub fn load_weights_with(
        &mut self,
        path: impl AsRef<Path>,
        options: WeightOptions,
    ) -> Result<Vec<String>> {
        let path = path.as_ref();
        let network = self.network()?;
        let loaded = match is_hdf5(path)? || is_h5(path) {
            true => network::load_stored(network, &StoredWeights::read_h5(path)?, options),
            false => {
                let named = SafetensorsFile::read(path)?.tensors;
                network::from_named(network, &named).map(|()| Vec::new())
            }
        };
        loaded.map_err(|e| Error::file(path, e.to_string()))
    }
}

/// Whether a file of weights is Keras's, as Keras tells by its name.
/// Whether an older Keras wrote the file, in names and formats of its own.
fn is_legacy(file: &ModelFile) -> bool {
    file.keras_major() < 3 || matches!(file.weights, StoredWeights::ByLayer(_))
}

fn is_h5(path: &Path) -> bool {
    path.to_str().is_some_and(|path| path.ends_with(".weights.h5"))
}
