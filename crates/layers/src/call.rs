//! One call of a layer: its arguments, its weights, and what it may leave behind. Everything that is
//! scoped (path, random stream, policy, training flag) is scoped here, once.

use crate::entry::LayerEntry;
use crate::following::Following;
use sconce_core::{
    Arg, Args, Context, Error, Json, Result, Stream, Tape, Tensor, Value, Weight, random,
};
use std::sync::Arc;

/// Sees the outputs of every layer, with its path.
pub type Observe<'a> = dyn FnMut(&str, &[Value]) -> Result<()> + 'a;

/// Where a call stands: the path to it, and what it inherits.
pub struct Scope<'a> {
    context: &'a mut Context,
    /// The tape of the pass, if it is recorded.
    tape: Option<Tape>,
    path: Path<'a>,
    key: u64,
    training: bool,
    trainable: bool,
    observe: Option<&'a mut Observe<'a>>,
}

/// The names on the way to a layer, joined only when somebody asks.
#[derive(Clone, Copy)]
struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    name: &'a str,
}

impl Path<'_> {
    fn text(&self) -> String {
        match self.parent {
            Some(parent) if !parent.name.is_empty() => format!("{}/{}", parent.text(), self.name),
            _ => self.name.to_string(),
        }
    }
}

impl<'a> Scope<'a> {
    /// The scope of a whole model. `observe` sees the outputs of every layer.
    pub fn new(context: &'a mut Context, observe: Option<&'a mut Observe<'a>>) -> Self {
        let tape = context.tape();
        let training = context.is_training();
        let path = Path { parent: None, name: "" };
        Self { context, tape, path, key: 0, training, trainable: true, observe }
    }

    /// Whether nothing but the outputs counts: no training, no gradients, nobody who looks at what layers
    /// give.
    pub fn predicts(&self) -> bool {
        !self.training && self.tape.is_none() && self.observe.is_none()
    }

    /// Whether layers may run those after them too: nobody looks at what each of them gives.
    pub fn joins_layers(&self) -> bool {
        self.observe.is_none()
    }

    /// Runs a layer. `stream_key` names its random stream among those of its neighbours.
    pub fn run(
        &mut self,
        entry: &LayerEntry,
        args: Args<Value>,
        stream_key: u64,
    ) -> Result<Vec<Value>> {
        self.run_with(entry, args, stream_key, Following::default())
    }

    /// As [`Scope::run`], of a layer that [takes](crate::Layer::takes_following) those after it along.
    pub fn run_with(
        &mut self,
        entry: &LayerEntry,
        args: Args<Value>,
        stream_key: u64,
        following: Following,
    ) -> Result<Vec<Value>> {
        self.run_call(entry, args, stream_key, following, Vec::new())
    }

    /// As [`Scope::run_with`], with values in the place of some of the layer's weights.
    fn run_call(
        &mut self,
        entry: &LayerEntry,
        args: Args<Value>,
        stream_key: u64,
        following: Following,
        replaced: Vec<(&'static str, Tensor)>,
    ) -> Result<Vec<Value>> {
        let training = match args.flag("training") {
            Some(Json::Bool(training)) => *training,
            _ => self.training,
        };
        let (args, given_masks) = take_masks(entry, args);
        let args = accepted(entry, args)?;
        let parent = self.path;
        let path = Path { parent: Some(&parent), name: entry.name() };
        let key = match self.key {
            0 => stream_key,
            outer => random::key_of_pair(outer, stream_key),
        };
        let scope = Scope {
            context: &mut *self.context,
            tape: self.tape.clone(),
            path,
            key,
            training,
            trainable: self.trainable && entry.is_trainable(),
            observe: match &mut self.observe {
                Some(observe) => Some(&mut **observe),
                None => None,
            },
        };
        let mut call = Call { scope, entry, args, given_masks, replaced, masks: None, following };
        let ran = call.run();
        ran.map_err(|e| e.in_layer(&path.text()))
    }
}

/// Takes the argument `mask` out: one for each tensor. As in Keras it decides what the call sees, and
/// outputs take over what a tensor carries, or else this.
fn take_masks(entry: &LayerEntry, mut args: Args<Value>) -> (Args<Value>, Vec<Option<Tensor>>) {
    let Some(index) = args.named.iter().position(|(name, _)| entry.is_mask(name)) else {
        return (args, Vec::new());
    };
    let tensor = |arg: &Arg<Value>| arg.one().map(|value| value.tensor.clone());
    let masks: Vec<Option<Tensor>> = match &args.named.remove(index).1 {
        Arg::List(list) => list.iter().map(tensor).collect(),
        one => vec![tensor(one)],
    };
    let mut given = masks.iter();
    let mut carry = |value: &Value| {
        let given = given.next().cloned().flatten();
        Ok(Value { tensor: value.tensor.clone(), mask: value.mask.clone().or(given) })
    };
    let carried = args.try_map(&mut carry);
    (carried.unwrap_or(args), masks)
}

/// The arguments in the types that a layer takes.
fn accepted(entry: &LayerEntry, args: Args<Value>) -> Result<Args<Value>> {
    let compute = entry.policy().compute;
    let casts = entry.layer().casts_integers();
    let fits = |value: &Value| {
        let dtype = value.tensor.dtype();
        dtype == compute || !(dtype.is_float() || casts)
    };
    let mut all_fit = true;
    args.each(&mut |value| all_fit &= fits(value));
    if all_fit {
        return Ok(args);
    }
    args.try_map(|value| {
        let tensor = match fits(value) {
            true => value.tensor.clone(),
            false => value.tensor.to_dtype(compute)?,
        };
        Ok(Value { tensor, mask: value.mask.clone() })
    })
}

/// One call of a layer.
pub struct Call<'a> {
    scope: Scope<'a>,
    entry: &'a LayerEntry,
    args: Args<Value>,
    /// Those of the argument `mask`, one for each tensor.
    given_masks: Vec<Option<Tensor>>,
    /// What stands for weights in this call, by name.
    replaced: Vec<(&'static str, Tensor)>,
    /// Those of the outputs.
    masks: Option<Vec<Option<Tensor>>>,
    following: Following,
}

impl<'a> Call<'a> {
    fn run(&mut self) -> Result<Vec<Value>> {
        let layer = self.entry.layer().clone();
        let mut outputs = layer.call(self)?;
        if let Some(tape) = &self.scope.tape {
            // What plain candle code computed is differentiated by candle, layer by layer.
            for output in &mut outputs {
                *output = tape.seal(output)?;
            }
        }
        if layer.regularizes_outputs() {
            outputs.iter().try_for_each(|output| self.regularize_activity(output))?;
        }
        let masks = match self.masks.take() {
            Some(masks) => masks,
            None if self.has_masks() || layer.makes_masks() => layer.mask(self, &outputs)?,
            None => Vec::new(),
        };
        let mut masks = masks.into_iter();
        let outputs: Vec<Value> = outputs
            .into_iter()
            .map(|tensor| Value { tensor, mask: masks.next().flatten() })
            .collect();
        if let Some(observe) = &mut self.scope.observe {
            observe(&self.scope.path.text(), &outputs)?;
        }
        Ok(outputs)
    }

    /// Adds the penalty of the layer's `activity_regularizer` on a tensor, if it has one.
    pub(crate) fn regularize_activity(&mut self, output: &Tensor) -> Result<()> {
        let Some(regularizer) = self.entry.activity_regularizer() else { return Ok(()) };
        // Keras divides by the batch size, so that the strength does not depend on it.
        let rows = output.dims().first().copied().unwrap_or(1).max(1) as f64;
        let penalty = (regularizer.get()?.penalty(output)? / rows)?;
        self.scope.context.add_loss(penalty);
        Ok(())
    }

    fn has_masks(&self) -> bool {
        let mut any = false;
        self.args.each(&mut |value| any |= value.mask.is_some());
        any
    }

    /// The layer's path in the model.
    pub fn path(&self) -> String {
        self.scope.path.text()
    }

    /// The arguments.
    pub fn args(&self) -> &Args<Value> {
        &self.args
    }

    /// The positional tensor at an index.
    ///
    /// # Errors
    /// If there is none.
    pub fn x(&self, index: usize) -> Result<&Tensor> {
        match self.args.positional.get(index) {
            Some(Arg::One(value)) => Ok(&value.tensor),
            Some(_) => Err(Error::layer("", format!("argument {index} is not a single tensor"))),
            None => Err(Error::layer("", format!("argument {index} is missing"))),
        }
    }

    /// The only tensor of a layer that takes exactly one.
    ///
    /// # Errors
    /// Says how many came.
    pub fn single(&self) -> Result<&Tensor> {
        Ok(&self.args.single(self.entry.class_name())?.tensor)
    }

    /// Every tensor, in order: of positional arguments first, those in lists one by one.
    pub fn tensors(&self) -> Vec<&Tensor> {
        self.args.flat().into_iter().map(|value| &value.tensor).collect()
    }

    /// The tensor at a position or, as Python takes it, under its name.
    pub fn arg(&self, position: usize, name: &str) -> Option<&Tensor> {
        self.args.at(position, name).and_then(Arg::one).map(|value| &value.tensor)
    }

    /// A plain value by name, such as `use_causal_mask`; `None` if it was left out.
    pub fn flag(&self, name: &str) -> Option<&Json> {
        self.args.flag(name)
    }

    /// The mask of a tensor, counted as in [`Call::tensors`]: that of the argument `mask`, or else the
    /// one that the tensor carries.
    pub fn mask(&self, index: usize) -> Option<&Tensor> {
        let given = self.given_masks.get(index).and_then(Option::as_ref);
        given.or_else(|| self.args.flat().get(index).and_then(|value| value.mask.as_ref()))
    }

    /// The mask of a tensor in the argument `mask` of the call.
    pub fn given_mask(&self, index: usize) -> Option<&Tensor> {
        self.given_masks.get(index).and_then(Option::as_ref)
    }

    /// Sets the masks of the outputs, instead of [`crate::Layer::mask`].
    pub fn set_masks(&mut self, masks: Vec<Option<Tensor>>) {
        self.masks = Some(masks);
    }

    /// Whether the layer trains: dropout drops, batch statistics are taken. An argument
    /// `training=False` of the call, or of a call around it, decides.
    pub fn training(&self) -> bool {
        self.scope.training
    }

    /// Whether training changes the layer's weights: it and everything around it is trainable.
    pub fn trainable(&self) -> bool {
        self.scope.trainable
    }

    /// The random stream of this use of the layer at this step. A layer that draws several times takes
    /// streams of several indices.
    pub fn stream(&self, index: u64) -> Stream {
        self.scope.context.stream(self.scope.key, index)
    }

    /// The weight of a name, differentiated if the layer is trained; `None` if it was not declared.
    pub fn find_weight(&self, name: &str) -> Option<Tensor> {
        if let Some((_, value)) = self.replaced.iter().find(|(replaced, _)| *replaced == name) {
            return Some(value.clone());
        }
        let weight = self.own(name)?;
        let tracked = self.scope.tape.is_some() && self.scope.trainable && !weight.is_state;
        Some(weight.value(tracked).clone())
    }

    /// The weight of a name of a layer inside this one, differentiated if both are trained.
    pub fn find_weight_of(&self, entry: &LayerEntry, name: &str) -> Option<Tensor> {
        let weight = entry.weights().iter().find(|weight| weight.name == name)?;
        let trained = self.scope.trainable && entry.is_trainable();
        let tracked = self.scope.tape.is_some() && trained && !weight.is_state;
        Some(weight.value(tracked).clone())
    }

    /// The weight of a name, differentiated if the layer is trained.
    ///
    /// # Errors
    /// If the layer did not declare it.
    pub fn weight(&self, name: &str) -> Result<Tensor> {
        self.find_weight(name).ok_or_else(|| self.undeclared(name))
    }

    /// The value that a state weight has in this step: its new one if a use of the layer gave one.
    ///
    /// # Errors
    /// If the layer did not declare it.
    pub fn state(&self, name: &str) -> Result<Tensor> {
        let weight = self.own(name).ok_or_else(|| self.undeclared(name))?;
        Ok(self.scope.context.state(&weight.var))
    }

    /// Gives a state weight a new value, which later uses in this step read; the weight itself is set
    /// once the step is done.
    ///
    /// # Errors
    /// If the layer did not declare it, or the shape is another.
    pub fn update(&mut self, name: &str, value: Tensor) -> Result<()> {
        let weight = self.own(name).ok_or_else(|| self.undeclared(name))?;
        if value.dims() != weight.var.dims() {
            return Err(Error::layer(
                "",
                format!(
                    "the state `{name}` has shape {:?}, its new value {:?}",
                    weight.var.dims(),
                    value.dims()
                ),
            ));
        }
        self.scope.context.update(&weight.var, value);
        Ok(())
    }

    /// What the layer kept of the batch before; empty if it kept nothing.
    pub fn carried(&self) -> Vec<Tensor> {
        self.entry.carried().get()
    }

    /// Keeps tensors for the next batch, until [`LayerEntry::reset_states`].
    pub fn carry(&mut self, values: Vec<Tensor>) {
        self.scope.context.carry(self.entry.carried(), values);
    }

    /// The layers after this one that it runs too.
    pub fn following(&self) -> &Following {
        &self.following
    }

    /// Adds a differentiable scalar to the loss.
    pub fn add_loss(&mut self, loss: Tensor) {
        self.scope.context.add_loss(loss);
    }

    /// Runs a layer inside this one, scoped by its name.
    pub fn child(&mut self, entry: &LayerEntry, args: Args<Value>) -> Result<Vec<Value>> {
        self.child_with_key(entry, args, random::key_of(entry.name()))
    }

    /// As [`Call::child`], for one of several uses of a layer: uses of different keys draw from
    /// different random streams.
    pub fn child_with_key(
        &mut self,
        entry: &LayerEntry,
        args: Args<Value>,
        stream_key: u64,
    ) -> Result<Vec<Value>> {
        self.scope.run(entry, args, stream_key)
    }

    /// As [`Call::child`], with values in the place of weights of the layer, by name: they are
    /// differentiated as any tensor.
    pub fn child_with_weights(
        &mut self,
        entry: &LayerEntry,
        args: Args<Value>,
        weights: Vec<(&'static str, Tensor)>,
    ) -> Result<Vec<Value>> {
        let key = random::key_of(entry.name());
        self.scope.run_call(entry, args, key, Following::default(), weights)
    }

    /// The scope that layers inside this one run in.
    pub fn scope(&mut self) -> &mut Scope<'a> {
        &mut self.scope
    }

    fn own(&self, name: &str) -> Option<&'a Arc<Weight>> {
        self.entry.weights().iter().find(|weight| weight.name == name)
    }

    fn undeclared(&self, name: &str) -> Error {
        let names: Vec<&str> = self.entry.weights().iter().map(|w| w.name.as_str()).collect();
        Error::layer(
            "",
            format!(
                "no weight `{name}` was declared; its weights: {}",
                if names.is_empty() { "none".to_string() } else { names.join(", ") }
            ),
        )
    }
}
