//! A layer as models hold it: the layer, what every layer can say besides its own configuration, and
//! its weights once they exist.

use crate::layer::{Child, Layer};
use crate::regularizers::Regularizer;
use sconce_core::{
    Args, Carried, DTypePolicy, Device, Dims, Error, FirstValues, Result, Spec, Store, Tensor,
    Weight, WeightSpec,
};
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// What every layer can say besides its own configuration.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its name in the model, unique; made from the class name (`dense`, `dense_1`) if left out.
    pub name: Option<String>,
    /// Whether training changes its weights.
    pub trainable: bool,
    /// The types it computes in and keeps its weights in.
    pub policy: DTypePolicy,
    /// A penalty on what the layer puts out, divided by the batch size.
    pub activity_regularizer: Option<Regularizer>,
    /// The shape of one sample, on a model's first layer.
    pub input_shape: Option<Vec<Option<usize>>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: None,
            trainable: true,
            policy: DTypePolicy::default(),
            activity_regularizer: None,
            input_shape: None,
        }
    }
}

/// A layer with a name and other options: what `Dense::new(64).name("fc1")` gives.
#[derive(Clone, Debug)]
pub struct Named<L> {
    layer: L,
    options: Options,
}

impl<L: Layer> Named<L> {
    /// The same options on a changed layer.
    pub fn map(self, change: impl FnOnce(L) -> L) -> Self {
        Self { layer: change(self.layer), options: self.options }
    }

    fn with(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(&mut self.options);
        self
    }

    /// Names the layer; names are unique in a model.
    pub fn name(self, name: &str) -> Self {
        self.with(|o| o.name = Some(name.to_string()))
    }

    /// With `false`, training leaves the layer's weights as they are.
    pub fn trainable(self, trainable: bool) -> Self {
        self.with(|o| o.trainable = trainable)
    }

    /// Adds a penalty on what the layer puts out, divided by the batch size: `"l2"`, `L1::new(0.01)`.
    pub fn activity_regularizer(self, regularizer: impl Into<Regularizer>) -> Self {
        self.with(|o| o.activity_regularizer = Some(regularizer.into()))
    }

    /// The shape of one sample (without the batch axis), for the first layer of a model.
    pub fn input_shape(self, shape: impl AsRef<[usize]>) -> Self {
        self.with(|o| o.input_shape = Some(shape.as_ref().iter().copied().map(Some).collect()))
    }

    /// The layer to use several times: its clones share the weights.
    pub fn entry(self) -> LayerEntry {
        self.into()
    }
}

/// Builder methods that every layer has.
pub trait LayerExt: Layer + Sized {
    /// Names the layer; names are unique in a model.
    fn name(self, name: &str) -> Named<Self> {
        named(self).name(name)
    }

    /// With `false`, training leaves the layer's weights as they are.
    fn trainable(self, trainable: bool) -> Named<Self> {
        named(self).trainable(trainable)
    }

    /// Adds a penalty on what the layer puts out, divided by the batch size: `"l2"`, `L1::new(0.01)`.
    fn activity_regularizer(self, regularizer: impl Into<Regularizer>) -> Named<Self> {
        named(self).activity_regularizer(regularizer)
    }

    /// The shape of one sample (without the batch axis), for the first layer of a model.
    fn input_shape(self, shape: impl AsRef<[usize]>) -> Named<Self> {
        named(self).input_shape(shape)
    }

    /// The layer to use several times: its clones share the weights.
    fn entry(self) -> LayerEntry {
        self.into()
    }
}

impl<L: Layer> LayerExt for L {}

fn named<L>(layer: L) -> Named<L> {
    Named { layer, options: Options::default() }
}

impl<L: Layer> From<L> for LayerEntry {
    fn from(layer: L) -> Self {
        Self::new(Arc::new(layer), Options::default())
    }
}

impl<L: Layer> From<Named<L>> for LayerEntry {
    fn from(named: Named<L>) -> Self {
        Self::new(Arc::new(named.layer), named.options)
    }
}

impl From<&LayerEntry> for LayerEntry {
    fn from(entry: &LayerEntry) -> Self {
        entry.clone()
    }
}

/// A layer in models. Clones are the same layer: it has one name and one set of weights, wherever it
/// is used.
#[derive(Clone)]
pub struct LayerEntry(Arc<Inner>);

struct Inner {
    layer: Arc<dyn Layer>,
    name: OnceLock<String>,
    trainable: AtomicBool,
    options: Options,
    built: OnceLock<Built>,
    /// What the layer is now and which weights it has, if it was changed after it was built.
    changed: OnceLock<Changed>,
    carried: Arc<Carried>,
}

/// The weights of a layer, and what it was first called with.
struct Built {
    inputs: Args<Spec>,
    weights: Vec<Arc<Weight>>,
}

/// What a layer became after it was built.
struct Changed {
    layer: Arc<dyn Layer>,
    weights: Vec<Arc<Weight>>,
}

/// How the weights of a model are made.
#[derive(Clone, Copy)]
pub struct BuildOptions<'a> {
    /// Where they live.
    pub device: &'a Device,
    /// Their first values.
    pub first: FirstValues,
}

impl LayerEntry {
    /// A layer with options.
    pub fn new(layer: Arc<dyn Layer>, mut options: Options) -> Self {
        let name = options.name.take().map(OnceLock::from).unwrap_or_default();
        let trainable = AtomicBool::new(options.trainable);
        let (built, changed, carried) = (OnceLock::new(), OnceLock::new(), Arc::default());
        Self(Arc::new(Inner { layer, name, trainable, options, built, changed, carried }))
    }

    /// The same layer with the same options and name, but weights of its own, as the layers inside it.
    /// `copies`: those made before, by [`LayerEntry::id`]; a layer at several places has one copy.
    ///
    /// # Errors
    /// If a layer that holds others cannot be copied.
    pub fn duplicate(&self, copies: &mut HashMap<usize, Self>) -> Result<Self> {
        if let Some(copy) = copies.get(&self.id()) {
            return Ok(copy.clone());
        }
        let children = self.layer().children();
        let children = children.iter().flat_map(Child::entries).map(|e| e.duplicate(copies));
        let children = children.collect::<Result<Vec<_>>>()?;
        let layer = match children.is_empty() {
            true => self.layer().clone(),
            false => {
                let copy = self.layer().with_children(children);
                copy.map_err(|e| e.in_layer(self.name()))?
            }
        };
        let copy = Self::new(layer, self.options());
        copies.insert(self.id(), copy.clone());
        Ok(copy)
    }

    /// The layer.
    pub fn layer(&self) -> &Arc<dyn Layer> {
        self.0.changed.get().map_or(&self.0.layer, |changed| &changed.layer)
    }

    /// Its configuration struct, if it is of this type.
    pub fn downcast<L: Layer>(&self) -> Option<&L> {
        let any: &dyn std::any::Any = self.layer().as_ref();
        any.downcast_ref()
    }

    /// Keras's class name.
    pub fn class_name(&self) -> &'static str {
        self.layer().class_name()
    }

    /// Its name; `None` if it was not named and is in no model yet.
    pub fn given_name(&self) -> Option<&str> {
        self.0.name.get().map(String::as_str)
    }

    /// Its name; empty if it was not named and is in no model yet.
    pub fn name(&self) -> &str {
        self.given_name().unwrap_or_default()
    }

    /// Names it, unless it has a name; then that stays.
    pub fn set_name(&self, name: &str) -> &str {
        self.0.name.get_or_init(|| name.to_string())
    }

    /// Whether training changes its weights. In a nested model it also takes that the models around it
    /// are trainable.
    pub fn is_trainable(&self) -> bool {
        self.0.trainable.load(Ordering::Relaxed)
    }

    /// Freezes (`false`) or thaws the layer, wherever it is used. Models take it into account when
    /// they are compiled next, as in Keras.
    pub fn set_trainable(&self, trainable: bool) {
        self.0.trainable.store(trainable, Ordering::Relaxed);
    }

    /// The types it computes in and keeps its weights in.
    pub fn policy(&self) -> DTypePolicy {
        self.0.options.policy
    }

    /// The penalty on what it puts out.
    pub fn activity_regularizer(&self) -> Option<&Regularizer> {
        self.0.options.activity_regularizer.as_ref()
    }

    /// The shape of one sample with an unknown batch axis before it, if it was stated.
    pub fn stated_input(&self) -> Option<Dims> {
        let shape = self.0.options.input_shape.as_ref()?;
        Some(Dims(std::iter::once(None).chain(shape.iter().copied()).collect()))
    }

    /// Its options, as they are now.
    pub fn options(&self) -> Options {
        Options {
            name: self.0.name.get().cloned(),
            trainable: self.is_trainable(),
            ..self.0.options.clone()
        }
    }

    /// What comes out of a call, integer inputs cast as the layer takes them.
    pub fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let accepted = self.accepted(x)?;
        let mut outputs = self.layer().outputs(&accepted)?;
        if accepted.flat().iter().all(|spec| !spec.dtype.is_float()) {
            // Floats from integers, such as embeddings, are of the type that it computes in.
            let floats = outputs.iter_mut().filter(|spec| spec.dtype.is_float());
            floats.for_each(|spec| spec.dtype = self.policy().compute);
        }
        Ok(outputs)
    }

    /// Whether an argument is the mask of a call, which no layer counts among its inputs.
    pub(crate) fn is_mask(&self, name: &str) -> bool {
        name == "mask" && !self.layer().arguments().contains(&name)
    }

    fn accepted(&self, x: &Args<Spec>) -> Result<Args<Spec>> {
        let casts = self.layer().casts_integers();
        let mut x = x.clone();
        x.named.retain(|(name, _)| !self.is_mask(name));
        x.try_map(|spec| {
            let float = spec.dtype.is_float() || casts;
            let dtype = if float { self.policy().compute } else { spec.dtype };
            Ok(Spec { dims: spec.dims.clone(), dtype })
        })
    }

    /// Whether it and the layers inside it have their weights.
    pub fn is_built(&self) -> bool {
        self.0.built.get().is_some()
    }

    /// What it was first called with; `None` before it is built.
    pub fn built_with(&self) -> Option<&Args<Spec>> {
        self.0.built.get().map(|built| &built.inputs)
    }

    /// Its own weights, not those of the layers inside it; none before it is built.
    pub fn weights(&self) -> &[Arc<Weight>] {
        match (self.0.changed.get(), self.0.built.get()) {
            (Some(changed), _) => &changed.weights,
            (None, built) => built.map_or(&[], |built| &built.weights),
        }
    }

    /// The weight of a layer inside it that is counted among its own too, once that is built.
    pub fn borrowed_weight(&self) -> Option<(&LayerEntry, &Arc<Weight>)> {
        let (owner, name) = self.layer().borrowed_weight()?;
        Some((owner, owner.weights().iter().find(|weight| weight.name == name)?))
    }

    /// Puts a layer with more weights in the place of the layer. Weights of a name that there is keep their
    /// values; whether they are trained is as the new layer says.
    pub(crate) fn replace_layer(&self, layer: Arc<dyn Layer>) -> Result<()> {
        let built = self.0.built.get().ok_or_else(|| {
            Error::layer("", "the layer is not built; call `build` or `fit` of its model first")
        })?;
        let device = built.weights.first().map_or(&Device::Cpu, |weight| weight.var.device());
        let make = |spec: WeightSpec| {
            Ok(Arc::new(match built.weights.iter().find(|weight| weight.name == spec.name) {
                Some(weight) => weight.restated(spec)?,
                None => {
                    let float = self.policy().variable;
                    Weight::new(spec, self.name(), device, float, FirstValues::Seed(0))?
                }
            }))
        };
        let weights = layer.weights(&built.inputs)?.into_iter().map(make);
        let weights = weights.collect::<Result<Vec<_>>>()?;
        match self.0.changed.set(Changed { layer, weights }) {
            Ok(()) => Ok(()),
            Err(_) => Err(Error::layer("", "the layer was changed already")),
        }
    }

    /// Makes its weights and those of the layers inside it for a call, unless they exist. `scope` is
    /// the path of what it stands in ("" for a model itself).
    pub fn build(&self, x: &Args<Spec>, scope: &str, options: BuildOptions<'_>) -> Result<()> {
        let path = join(scope, self.name());
        if self.is_built() {
            return Ok(());
        }
        let x = self.accepted(x)?;
        let layer = self.layer();
        let siblings: Vec<_> = layer.children().iter().flat_map(Child::entries).collect();
        for entry in &siblings {
            if entry.given_name().is_none() {
                entry.set_name(&free_name(entry.class_name(), &siblings));
            }
            let inputs = layer.child_inputs(entry, &x).map_err(|e| e.in_layer(&path))?;
            entry.build(&inputs, &path, options)?;
        }
        let specs = layer.weights(&x).map_err(|e| e.in_layer(&path))?;
        let mut weights: Vec<Arc<Weight>> = Vec::with_capacity(specs.len());
        for spec in specs {
            if weights.iter().any(|w| w.name == spec.name) {
                let message = format!("declares the weight `{}` twice", spec.name);
                return Err(Error::layer(&path, message));
            }
            let float = self.policy().variable;
            let weight = Weight::new(spec, &path, options.device, float, options.first);
            weights.push(Arc::new(weight.map_err(|e| e.in_layer(&path))?));
        }
        // Two models that build one layer at the same time: the first wins.
        let _ = self.0.built.set(Built { inputs: x, weights });
        Ok(())
    }

    /// Sets the weights that a layer takes from data before training, such as the mean and variance of
    /// [`Normalization`](crate::Normalization), from batches of it, and builds the layer for their
    /// shape unless it is built.
    ///
    /// # Errors
    /// Of layers that take nothing from data; for data that does not fit.
    pub fn adapt(&self, data: impl IntoIterator<Item = Result<Tensor>>) -> Result<()> {
        let mut spec = None;
        let mut data = data.into_iter().inspect(|batch| {
            if let (None, Ok(batch)) = (&spec, batch) {
                let sample = batch.dims().get(1..).unwrap_or_default();
                spec = Some(Spec { dims: Dims::batch_of(sample), dtype: batch.dtype() });
            }
        });
        let adapted = self.layer().adapt(&mut data).map_err(|e| e.in_layer(self.name()))?;
        drop(data);
        if let Some(spec) = spec {
            let options = BuildOptions { device: &Device::Cpu, first: FirstValues::Zeros };
            self.build(&Args::one(spec), "", options)?;
        }
        for weight in self.weights() {
            let Some((_, value)) = adapted.iter().find(|(name, _)| *name == weight.name) else {
                continue;
            };
            weight.set(value).map_err(|e| e.in_layer(self.name()))?;
        }
        Ok(())
    }

    /// Adds its weights and those of the layers inside it to a store, in the order of Keras's
    /// `weights`: its own first. `trainable`: whether what it stands in is.
    pub fn collect(&self, store: &mut Store, scope: &str, trainable: bool) -> Result<()> {
        let path = join(scope, self.name());
        let trainable = trainable && self.is_trainable();
        if let Some((owner, weight)) = self.borrowed_weight() {
            let path = format!("{path}/{}/{}", owner.name(), weight.name);
            store.add(path, weight.clone(), trainable && owner.is_trainable())?;
        }
        for weight in self.weights() {
            store.add(format!("{path}/{}", weight.name), weight.clone(), trainable)?;
        }
        for child in self.layer().children() {
            child.entries().iter().try_for_each(|e| e.collect(store, &path, trainable))?;
        }
        Ok(())
    }

    /// Calls `visit(path, layer, depth)` for the layers inside it, to any depth.
    pub fn walk(&self, scope: &str, visit: &mut dyn FnMut(&str, &LayerEntry, usize)) {
        self.walk_from(scope, 0, visit);
    }

    fn walk_from(
        &self,
        scope: &str,
        depth: usize,
        visit: &mut dyn FnMut(&str, &LayerEntry, usize),
    ) {
        let path = join(scope, self.name());
        visit(&path, self, depth);
        for entry in self.layer().children().iter().flat_map(Child::entries) {
            entry.walk_from(&path, depth + 1, visit);
        }
    }

    /// Sets the states that last from batch to batch, of stateful recurrent layers here and in the layers
    /// inside it, back to none, which are zeros.
    pub fn reset_states(&self) {
        self.0.carried.clear();
        let children = self.layer().children();
        children.iter().flat_map(Child::entries).for_each(LayerEntry::reset_states);
    }

    /// What the layer keeps from batch to batch; it is no weight, and in no file of a model.
    pub fn carried(&self) -> &Arc<Carried> {
        &self.0.carried
    }

    /// Whether two entries are the same layer.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// A number that tells layers apart, the same for the same layer.
    pub fn id(&self) -> usize {
        Arc::as_ptr(&self.0).cast::<()>() as usize
    }
}

impl fmt::Debug for LayerEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.given_name().unwrap_or("unnamed"), self.class_name())
    }
}

/// A name for a layer made from its class, which none of its siblings has: `lstm_cell`, `lstm_cell_1`.
fn free_name(class_name: &str, siblings: &[&LayerEntry]) -> String {
    let base = sconce_core::names::snake_case(class_name);
    let is_free = |name: &String| siblings.iter().all(|entry| entry.name() != name);
    let numbered = (1..).map(|number: usize| format!("{base}_{number}"));
    std::iter::once(base.clone()).chain(numbered).find(is_free).unwrap_or(base)
}

/// A path of names.
pub(crate) fn join(scope: &str, name: &str) -> String {
    if scope.is_empty() { name.to_string() } else { format!("{scope}/{name}") }
}
