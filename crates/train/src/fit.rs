//! `fit`: the loop over epochs and batches.

use crate::callbacks::{Callback, Verbose};
use crate::checkpoint::Checkpoint;
use crate::health;
use crate::history::History;
use crate::model::Model;
use crate::prepare::{self, TRAINING, VALIDATION};
use crate::train_step::TrainStep;
use sconce_core::{DType, Device, Error, Json, Result, Tensor};
use sconce_data::batches::steps_per_epoch;
use sconce_data::{
    ArraySource, Batch, BatchOptions, BatchSource, Dataset, Shuffle, ToTensors, split,
};
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

    /// The flag behind it, for code that sets a flag, such as a signal handler.
    pub fn flag(&self) -> Arc<AtomicBool> {
        self.0.clone()
    }

    /// Whether it was asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Everything Keras's `fit` takes besides x and y. Defaults as in Keras: 1 epoch, batches of 32,
/// shuffled. An argument that cannot be used is an error of `fit`.
pub struct Fit {
    pub(crate) epochs: usize,
    pub(crate) batch_size: usize,
    pub(crate) validation_split: f64,
    pub(crate) validation: Option<Validation>,
    pub(crate) validation_freq: usize,
    pub(crate) validation_batch_size: Option<usize>,
    pub(crate) shuffle: Shuffle,
    pub(crate) class_weight: Option<BTreeMap<i64, f32>>,
    pub(crate) sample_weight: Vec<Option<Tensor>>,
    pub(crate) initial_epoch: usize,
    pub(crate) steps_per_epoch: Option<usize>,
    pub(crate) verbose: Verbose,
    pub(crate) callbacks: Vec<Box<dyn Callback>>,
    pub(crate) seed: u64,
    pub(crate) cancel: CancelToken,
    pub(crate) train_step: Option<Box<dyn TrainStep>>,
    pub(crate) checkpoint: Option<Checkpoint>,
    pub(crate) resume: bool,
    /// Whether the history says what the run depended on.
    pub(crate) fingerprints: bool,
    /// The run configuration that it is of, for the history.
    pub(crate) configuration: Option<Json>,
    /// What was wrong with an argument.
    pub(crate) error: Option<Error>,
}

/// The data that a run validates with.
pub(crate) enum Validation {
    /// Arrays, in batches as in training.
    Arrays(Batch),
    /// A source of its own.
    Source(Box<dyn BatchSource>),
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
            sample_weight: Vec::new(),
            initial_epoch: 0,
            steps_per_epoch: None,
            verbose: Verbose::Auto,
            callbacks: Vec::new(),
            seed: 0,
            cancel: CancelToken::new(),
            train_step: None,
            checkpoint: None,
            resume: false,
            fingerprints: false,
            configuration: None,
            error: None,
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
        y: &(impl ToTensors + ?Sized),
    ) -> Self {
        match (x.to_tensors(), y.to_tensors()) {
            (Ok(x), Ok(y)) => {
                let batch = Batch { x, y, sample_weight: Vec::new() };
                self.validation = Some(Validation::Arrays(batch));
            }
            (Err(error), _) | (_, Err(error)) => self.keep_error(error),
        }
        self
    }

    /// Weights the samples of the validation data: one array for all outputs, or one for each.
    pub fn validation_sample_weight(mut self, weight: &(impl ToTensors + ?Sized)) -> Self {
        match (&mut self.validation, weight.to_tensors()) {
            (Some(Validation::Arrays(batch)), Ok(weight)) => {
                batch.sample_weight = weight.into_iter().map(Some).collect();
            }
            (_, Err(error)) => self.keep_error(error),
            _ => self.keep_error(Error::data("give `validation_data` before its sample weights")),
        }
        self
    }

    /// Keeps the first error of a builder, for `fit` to return.
    fn keep_error(&mut self, error: Error) {
        self.error.get_or_insert(error);
    }

    /// Refuses values that no data could make right.
    ///
    /// # Errors
    /// With the name of the argument as path.
    pub(crate) fn check(&self) -> Result<()> {
        let at_least_one = [
            ("batch_size", Some(self.batch_size)),
            ("validation_freq", Some(self.validation_freq)),
            ("validation_batch_size", self.validation_batch_size),
            ("steps_per_epoch", self.steps_per_epoch),
        ];
        if let Some((key, _)) = at_least_one.into_iter().find(|(_, value)| *value == Some(0)) {
            return Err(Error::config(key, "must be at least 1, got 0"));
        }
        if !(0.0..1.0).contains(&self.validation_split) {
            let message =
                format!("must be at least 0 and less than 1, got {}", self.validation_split);
            return Err(Error::config("validation_split", message));
        }
        if self.initial_epoch >= self.epochs {
            let message = format!(
                "must be more than initial_epoch ({}), got {}",
                self.initial_epoch, self.epochs
            );
            return Err(Error::config("epochs", message));
        }
        if self.resume && self.checkpoint.is_none() {
            return Err(Error::config(
                "resume",
                "needs a checkpoint to go on from; give `checkpoint`",
            ));
        }
        Ok(())
    }

    /// Validates on the batches of a source after each epoch.
    pub fn validation_source(mut self, source: impl BatchSource + 'static) -> Self {
        self.validation = Some(Validation::Source(Box::new(source)));
        self
    }

    /// Validates every so many epochs.
    pub fn validation_freq(mut self, epochs: usize) -> Self {
        self.validation_freq = epochs;
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

    /// Multiplies the loss of each sample, `[rows]`: one array for all outputs, or one for each.
    pub fn sample_weight(mut self, weight: &(impl ToTensors + ?Sized)) -> Self {
        match weight.to_tensors() {
            Ok(weight) => self.sample_weight = weight.into_iter().map(Some).collect(),
            Err(error) => self.keep_error(error),
        }
        self
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

    /// Writes checkpoints of the run: everything that [`Fit::resume`] needs.
    pub fn checkpoint(mut self, checkpoint: Checkpoint) -> Self {
        self.checkpoint = Some(checkpoint);
        self
    }

    /// Goes on from the newest whole checkpoint of [`Fit::checkpoint`], with the bits that the run would
    /// have had if it had not been interrupted; starts if there is none. A run under other conditions
    /// is refused with the difference.
    pub fn resume(mut self, resume: bool) -> Self {
        self.resume = resume;
        self
    }

    /// Trains with a step of your own instead of forward, loss, backward and update.
    pub fn train_step(mut self, step: impl TrainStep + 'static) -> Self {
        self.train_step = Some(Box::new(step));
        self
    }
}

impl Model {
    /// Trains on x and y. The history has one value per epoch of `loss`, every metric, and their
    /// `val_` forms. A model with several outputs takes several arrays as y: `&[&a, &b]`, `&(&a, &b)`.
    pub fn fit(
        &mut self,
        x: &(impl ToTensors + ?Sized),
        y: &(impl ToTensors + ?Sized),
        epochs: usize,
        batch_size: usize,
    ) -> Result<History> {
        self.fit_with(x, y, Fit::new(epochs, batch_size))
    }

    /// Trains on x and y, with everything else Keras's `fit` takes.
    pub fn fit_with(
        &mut self,
        x: &(impl ToTensors + ?Sized),
        y: &(impl ToTensors + ?Sized),
        fit: Fit,
    ) -> Result<History> {
        let mut history = History::default();
        self.fit_arrays(x.to_tensors()?, y.to_tensors()?, fit, &mut history)?;
        Ok(history)
    }

    /// As [`Model::fit_with`]; `history` takes in every whole epoch, of a run that fails too.
    pub(crate) fn fit_arrays(
        &mut self,
        x: Vec<Tensor>,
        y: Vec<Tensor>,
        mut fit: Fit,
        history: &mut History,
    ) -> Result<()> {
        fit.error.take().map_or_else(|| fit.check(), Err)?;
        let sample_weight = std::mem::take(&mut fit.sample_weight);
        let data = hold_out(&mut fit, Batch { x, y, sample_weight })?;
        // As in Keras, class weights are for training, not for what is held out of it.
        let data = with_class_weights(data, fit.class_weight.as_ref())?;
        let own_step = fit.train_step.is_some();
        let data = if own_step { data } else { prepare::prepare(self, data, TRAINING, true)? };
        if !own_step {
            let validation = match &fit.validation {
                Some(Validation::Arrays(batch)) => Some(batch),
                _ => None,
            };
            health::tell_of_unseen_classes(self, &data, validation)?;
        }
        let options = BatchOptions {
            batch_size: fit.batch_size,
            shuffle: fit.shuffle,
            seed: fit.seed,
            steps_per_epoch: fit.steps_per_epoch,
        };
        let rows = data.rows();
        let source = source_of(data, options)?;
        if let (Some(compiled), Some(asked)) = (&mut self.compiled, fit.steps_per_epoch) {
            let there = steps_per_epoch(rows, fit.batch_size);
            if asked > there {
                compiled.add_notice(format!(
                    "steps_per_epoch is {asked}, the data has {there} batches of {}: each epoch ends \
                     after those",
                    fit.batch_size
                ));
            }
        }
        self.train_on(&source, fit, history)
    }

    /// Trains on the batches of a source: files larger than memory, a generator, a closure. Batch
    /// size, shuffling and steps are the source's; `validation_split`, `class_weight` and
    /// `sample_weight` are for arrays. Where making a batch takes as long as training on it, give a
    /// [`Prefetch`](sconce_data::Prefetch) of the source.
    ///
    /// # Errors
    /// Those of the source, with epoch and batch; batches that do not match the model.
    pub fn fit_source(&mut self, source: &dyn BatchSource, mut fit: Fit) -> Result<History> {
        fit.error.take().map_or_else(|| fit.check(), Err)?;
        let arrays_only = [
            ("validation_split", fit.validation_split != 0.0),
            ("class_weight", fit.class_weight.is_some()),
            ("sample_weight", !fit.sample_weight.is_empty()),
            ("steps_per_epoch", fit.steps_per_epoch.is_some()),
        ];
        if let Some((key, _)) = arrays_only.iter().find(|(_, given)| *given) {
            return Err(Error::config(*key, "is for arrays; a source has it in its batches"));
        }
        if fit.train_step.is_none() {
            let spec = source.spec();
            prepare::build_for_source(self, spec)?;
            // The first batch shows whether all others can be trained on.
            let first = source.checked_batches(fit.initial_epoch, 0)?.next().transpose()?;
            let first = first.ok_or_else(|| Error::data("the source has no batches"))?;
            prepare::prepare(self, first, TRAINING, false)?;
        }
        let mut history = History::default();
        self.train_on(source, fit, &mut history)?;
        Ok(history)
    }

    fn train_on(
        &mut self,
        source: &dyn BatchSource,
        mut fit: Fit,
        history: &mut History,
    ) -> Result<()> {
        let validation: Option<Box<dyn BatchSource>> = match fit.validation.take() {
            Some(Validation::Source(source)) => Some(source),
            Some(Validation::Arrays(batch)) => {
                let own_step = fit.train_step.is_some();
                let batch =
                    if own_step { batch } else { prepare::prepare(self, batch, VALIDATION, true)? };
                let options = BatchOptions {
                    batch_size: fit.validation_batch_size.unwrap_or(fit.batch_size),
                    shuffle: Shuffle::Off,
                    ..BatchOptions::default()
                };
                Some(Box::new(source_of(batch, options)?))
            }
            None => None,
        };
        self.set_run_seed(fit.seed);
        crate::epoch::train(self, source, validation.as_deref(), fit, history)
    }
}

pub(crate) fn source_of(data: Batch, options: BatchOptions) -> Result<ArraySource> {
    let Batch { x, y, sample_weight } = data;
    // One array of weights stands for every output.
    let sample_weight = match sample_weight.as_slice() {
        [one] => vec![one.clone(); y.len()],
        _ => sample_weight,
    };
    ArraySource::new(Dataset { x, y, sample_weight, ..Dataset::default() }, options)
}

/// Multiplies sample weights by the weights of the samples' classes.
fn with_class_weights(data: Batch, class_weight: Option<&BTreeMap<i64, f32>>) -> Result<Batch> {
    let Some(class_weight) = class_weight else { return Ok(data) };
    let [y] = data.y.as_slice() else {
        return Err(Error::data(
            "class_weight is for models with one output; give each output its sample_weight",
        ));
    };
    let rows = y.dims().first().copied().unwrap_or(0);
    let classes = match y.dims() {
        [_, width] if *width > 1 => y.argmax(1)?.to_dtype(DType::I64)?,
        // As Keras, soft labels count for the nearest class.
        _ if y.elem_count() == rows && y.dtype().is_float() => {
            y.flatten_all()?.to_dtype(DType::F64)?.round()?.to_dtype(DType::I64)?
        }
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
    let weights = match data.sample_weight.first() {
        Some(Some(sample)) => (sample.flatten_all()?.to_dtype(DType::F32)? * weights)?,
        _ => weights,
    };
    Ok(Batch { sample_weight: vec![Some(weights)], ..data })
}

/// Moves the last part of the rows to the validation data.
fn hold_out(fit: &mut Fit, data: Batch) -> Result<Batch> {
    if fit.validation_split == 0.0 || fit.validation.is_some() {
        return Ok(data);
    }
    let (train, held_out) = split_batch(data, fit.validation_split)?;
    fit.validation = Some(Validation::Arrays(held_out));
    Ok(train)
}

/// The first and the last part of the rows of all arrays.
pub(crate) fn split_batch(data: Batch, part: f64) -> Result<(Batch, Batch)> {
    let Batch { x, y, sample_weight } = data;
    let (inputs, outputs) = (x.len(), y.len());
    let given: Vec<bool> = sample_weight.iter().map(Option::is_some).collect();
    let arrays: Vec<Tensor> =
        x.into_iter().chain(y).chain(sample_weight.into_iter().flatten()).collect();
    let (train, held_out) = split::train_validation_split(&arrays, part)?;
    let unpack = |arrays: Vec<Tensor>| {
        let mut arrays = arrays.into_iter();
        let x = arrays.by_ref().take(inputs).collect();
        let y = arrays.by_ref().take(outputs).collect();
        let sample_weight =
            given.iter().map(|given| if *given { arrays.next() } else { None }).collect();
        Batch { x, y, sample_weight }
    };
    Ok((unpack(train), unpack(held_out)))
}
