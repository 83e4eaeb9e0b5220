//! `fit`: the loop over epochs and batches.

use crate::callbacks::{Callback, Verbose};
use crate::history::History;
use crate::model::Model;
use crate::step::Batch;
use sconce_core::{DType, Device, Dims, Error, FirstValues, Result, Spec, Tensor};
use sconce_data::{Shuffle, ToTensor, ToTensors, check, split};
use sconce_kernels::gather_rows;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Stops a run from outside (another thread, a signal handler of yours) after the batch at hand.
#[derive(Clone, Debug, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// A new one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the run to stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Everything Keras's `fit` takes besides x and y. Defaults as in Keras: 1 epoch, batches of 32,
/// shuffled.
pub struct Fit {
    pub(crate) epochs: usize,
    pub(crate) batch_size: usize,
    pub(crate) validation_split: f64,
    pub(crate) validation: Option<(Vec<Tensor>, Tensor, Option<Tensor>)>,
    pub(crate) validation_freq: usize,
    pub(crate) validation_batch_size: Option<usize>,
    pub(crate) shuffle: Shuffle,
    pub(crate) class_weight: Option<BTreeMap<i64, f32>>,
    pub(crate) sample_weight: Option<Tensor>,
    pub(crate) initial_epoch: usize,
    pub(crate) steps_per_epoch: Option<usize>,
    pub(crate) verbose: Verbose,
    pub(crate) callbacks: Vec<Box<dyn Callback>>,
    pub(crate) seed: u64,
    pub(crate) cancel: CancelToken,
}

impl Default for Fit {
    fn default() -> Self {
        Self::new(1, crate::evaluate::BATCH_SIZE)
    }
}

impl Fit {
    /// With a number of epochs and a batch size.
    pub fn new(epochs: usize, batch_size: usize) -> Self {
        Self {
            epochs,
            batch_size,
            validation_split: 0.0,
            validation: None,
            validation_freq: 1,
            validation_batch_size: None,
            shuffle: Shuffle::Rows,
            class_weight: None,
            sample_weight: None,
            initial_epoch: 0,
            steps_per_epoch: None,
            verbose: Verbose::Auto,
            callbacks: Vec::new(),
            seed: 0,
            cancel: CancelToken::new(),
        }
    }

    /// Sets the number of the last epoch (with `initial_epoch` 0, the number of epochs).
    pub fn epochs(mut self, epochs: usize) -> Self {
        self.epochs = epochs;
        self
    }

    /// Sets the batch size; the last batch of an epoch may be smaller.
    pub fn batch_size(mut self, batch_size: usize) -> Self {
        self.batch_size = batch_size;
        self
    }

    /// Holds out this last part of the rows (before any shuffling) for validation.
    pub fn validation_split(mut self, part: f64) -> Self {
        self.validation_split = part;
        self
    }

    /// Validates on this data after each epoch.
    pub fn validation_data(
        mut self,
        x: &(impl ToTensors + ?Sized),
        y: &(impl ToTensor + ?Sized),
    ) -> Result<Self> {
        self.validation = Some((x.to_tensors()?, y.to_tensor()?, None));
        Ok(self)
    }

    /// Weights the samples of the validation data.
    pub fn validation_sample_weight(mut self, weight: &(impl ToTensor + ?Sized)) -> Result<Self> {
        let weight = weight.to_tensor()?;
        match &mut self.validation {
            Some(validation) => validation.2 = Some(weight),
            None => return Err(Error::data("give `validation_data` before its sample weights")),
        }
        Ok(self)
    }

    /// Validates every so many epochs.
    pub fn validation_freq(mut self, epochs: usize) -> Self {
        self.validation_freq = epochs.max(1);
        self
    }

    /// Batch size of the validation; default, that of training.
    pub fn validation_batch_size(mut self, batch_size: usize) -> Self {
        self.validation_batch_size = Some(batch_size);
        self
    }

    /// Whether rows are shuffled before each epoch.
    pub fn shuffle(mut self, shuffle: bool) -> Self {
        self.shuffle = if shuffle { Shuffle::Rows } else { Shuffle::Off };
        self
    }

    /// Multiplies the loss of each sample by the weight of its class; 1 for classes left out.
    pub fn class_weight(mut self, weights: impl IntoIterator<Item = (i64, f32)>) -> Self {
        self.class_weight = Some(weights.into_iter().collect());
        self
    }

    /// Multiplies the loss of each sample, `[rows]`.
    pub fn sample_weight(mut self, weight: &(impl ToTensor + ?Sized)) -> Result<Self> {
        self.sample_weight = Some(weight.to_tensor()?);
        Ok(self)
    }

    /// Number of the first epoch, to go on with a run.
    pub fn initial_epoch(mut self, epoch: usize) -> Self {
        self.initial_epoch = epoch;
        self
    }

    /// Ends each epoch after so many batches.
    pub fn steps_per_epoch(mut self, steps: usize) -> Self {
        self.steps_per_epoch = Some(steps);
        self
    }

    /// What is shown on stderr.
    pub fn verbose(mut self, verbose: Verbose) -> Self {
        self.verbose = verbose;
        self
    }

    /// Adds a callback.
    pub fn callback(mut self, callback: impl Callback + 'static) -> Self {
        self.callbacks.push(Box::new(callback));
        self
    }

    /// Adds callbacks.
    pub fn callbacks(mut self, callbacks: impl IntoIterator<Item = Box<dyn Callback>>) -> Self {
        self.callbacks.extend(callbacks);
        self
    }

    /// The seed of shuffling and dropout. Default 0, so that a run repeats.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// A token that stops the run from outside.
    pub fn cancel_token(mut self, token: &CancelToken) -> Self {
        self.cancel = token.clone();
        self
    }
}

impl Model {
    /// Trains on x and y. The history has a value an epoch of `loss`, every metric, and their
    /// `val_` forms.
    pub fn fit(
        &mut self,
        x: &(impl ToTensors + ?Sized),
        y: &(impl ToTensor + ?Sized),
        epochs: usize,
        batch_size: usize,
    ) -> Result<History> {
        self.fit_with(x, y, Fit::new(epochs, batch_size))
    }

    /// Trains on x and y, with everything else Keras's `fit` takes.
    pub fn fit_with(
        &mut self,
        x: &(impl ToTensors + ?Sized),
        y: &(impl ToTensor + ?Sized),
        mut fit: Fit,
    ) -> Result<History> {
        check::batch_size(fit.batch_size)?;
        let (x, y) = (x.to_tensors()?, y.to_tensor()?);
        let weight = fit.sample_weight.take();
        let (x, y, weight) = hold_out(&mut fit, x, y, weight)?;
        // As in Keras, class weights are for training, not for what is held out of it.
        let weight = sample_weights(&y, weight, fit.class_weight.as_ref())?;
        let data = prepare(self, x, y, weight, "x", "y")?;
        let validation = match fit.validation.take() {
            Some((x, y, weight)) => {
                Some(prepare(self, x, y, weight, "validation x", "validation y")?)
            }
            None => None,
        };
        self.set_run_seed(fit.seed);
        crate::epoch::train(self, &data, validation.as_ref(), fit)
    }
}

/// Multiplies sample weights by the weights of the samples' classes.
fn sample_weights(
    y: &Tensor,
    sample_weight: Option<Tensor>,
    class_weight: Option<&BTreeMap<i64, f32>>,
) -> Result<Option<Tensor>> {
    let Some(class_weight) = class_weight else { return Ok(sample_weight) };
    let rows = y.dims().first().copied().unwrap_or(0);
    let classes = match y.dims() {
        [_, width] if *width > 1 => y.argmax(1)?.to_dtype(DType::I64)?,
        _ if y.elem_count() == rows => y.flatten_all()?.to_dtype(DType::I64)?,
        _ => {
            return Err(Error::data(format!(
                "class_weight needs one class a sample, y has shape {:?}; use sample_weight",
                y.dims()
            )));
        }
    };
    let weights: Vec<f32> = classes
        .to_vec1::<i64>()?
        .iter()
        .map(|class| class_weight.get(class).copied().unwrap_or(1.0))
        .collect();
    let weights = Tensor::from_vec(weights, rows, &Device::Cpu)?;
    Ok(Some(match sample_weight {
        Some(sample) => (sample.flatten_all()?.to_dtype(DType::F32)? * weights)?,
        None => weights,
    }))
}

type Arrays = (Vec<Tensor>, Tensor, Option<Tensor>);

/// Moves the last part of the rows to the validation data.
fn hold_out(fit: &mut Fit, x: Vec<Tensor>, y: Tensor, weight: Option<Tensor>) -> Result<Arrays> {
    if fit.validation_split == 0.0 || fit.validation.is_some() {
        return Ok((x, y, weight));
    }
    let inputs = x.len();
    let arrays: Vec<Tensor> = x.into_iter().chain([y]).chain(weight).collect();
    let (train, held_out) = split::train_validation_split(&arrays, fit.validation_split)?;
    let unpack = |mut arrays: Vec<Tensor>| -> Result<Arrays> {
        let rest = arrays.split_off(inputs);
        let mut rest = rest.into_iter();
        let y = rest.next().ok_or_else(|| Error::data("y is missing"))?;
        Ok((arrays, y, rest.next()))
    };
    fit.validation = Some(unpack(held_out)?);
    unpack(train)
}

/// Inputs in the types that the model's inputs declare, on its device.
pub(crate) fn to_model(model: &Model, x: Vec<Tensor>) -> Result<Vec<Tensor>> {
    let x = model.network()?.graph().convert_inputs(x)?;
    x.into_iter().map(|x| Ok(x.to_device(model.device())?.contiguous()?)).collect()
}

/// Checks data, builds the model for it if need be, and moves it to the model's device.
pub(crate) fn prepare(
    model: &mut Model,
    x: Vec<Tensor>,
    y: Tensor,
    sample_weight: Option<Tensor>,
    x_name: &str,
    y_name: &str,
) -> Result<Batch> {
    check::training_data(&x, std::slice::from_ref(&y), sample_weight.as_ref())?;
    model.compiled()?;
    if let Some(first) = x.first() {
        let dims = Dims::batch_of(first.dims().get(1..).unwrap_or(&[]));
        let first_values = FirstValues::Seed(model.seed());
        model.build_for(Some(&Spec { dims, dtype: first.dtype() }), first_values)?;
    }
    let device = model.device().clone();
    let x = to_model(model, x)?;
    let (network, compiled, _) = model.parts()?;
    compiled.bind(network)?;
    for (dims, x) in network.graph().input_dims().into_iter().zip(&x) {
        if !dims.fits(x.dims()) {
            return Err(Error::data(format!(
                "{x_name} has shape {:?}, the model takes {dims}",
                x.dims()
            )));
        }
    }
    compiled.bind_targets(network, y_name, &y, sample_weight.as_ref())?;
    let dtype = compiled.compile().loss.get()?.target_dtype();
    let y = y.to_dtype(dtype)?.to_device(&device)?.contiguous()?;
    let sample_weight = match sample_weight {
        Some(weight) => Some(weight.to_dtype(DType::F32)?.to_device(&device)?.contiguous()?),
        None => None,
    };
    Ok(Batch { x, y, sample_weight })
}

impl Batch {
    /// The rows at these indices, copied.
    pub(crate) fn gather(&self, rows: &[u32]) -> Result<Self> {
        self.map(|t| gather_rows(t, rows))
    }

    /// Neighbouring rows, as a view.
    pub(crate) fn narrow(&self, start: usize, len: usize) -> Result<Self> {
        self.map(|t| t.narrow(0, start, len))
    }

    fn map(&self, cut: impl Fn(&Tensor) -> candle_core::Result<Tensor>) -> Result<Self> {
        Ok(Self {
            x: self.x.iter().map(&cut).collect::<candle_core::Result<_>>()?,
            y: cut(&self.y)?,
            sample_weight: self.sample_weight.as_ref().map(&cut).transpose()?,
        })
    }
}
