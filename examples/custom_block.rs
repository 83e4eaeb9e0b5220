//! How do I make a layer of other layers, with a penalty of its own, and a recurrent cell? State the layers inside as
//! fields and say what each is called with.
//!
//!     cargo run --release --example custom_block

use sconce::core::Stream;
use sconce::layers::Layers;
use sconce::layers::initializers::GlorotUniform;
use sconce::prelude::*;
use std::sync::Arc;

/// `y = x + outer(inner(x))`, and a penalty on what goes on inside.
#[derive(Clone, Debug, Config)]
#[config(package = "example")]
pub struct Residual {
    /// Called with the input.
    pub inner: LayerEntry,
    /// Called with what the inner layer gives; its output has the input's shape.
    pub outer: LayerEntry,
    /// The factor of the penalty, the mean square of what is between the layers.
    #[config(default = 0.0)]
    pub penalty: f64,
}

impl Layer for Residual {
    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        Ok(vec![x.single("Residual")?.clone()])
    }

    fn children(&self) -> Vec<Child<'_>> {
        vec![Child::One("inner", &self.inner), Child::One("outer", &self.outer)]
    }

    fn child_inputs(&self, child: &LayerEntry, x: &Args<Spec>) -> Result<Args<Spec>> {
        if child.id() == self.inner.id() {
            return Ok(x.clone());
        }
        let between = self.inner.outputs(x)?.into_iter().next();
        between.map(Args::one).ok_or_else(|| Error::layer("", "the inner layer has no output"))
    }

    fn with_children(&self, children: Vec<LayerEntry>) -> Result<Arc<dyn Layer>> {
        let mut copy = self.clone();
        for (place, child) in [&mut copy.inner, &mut copy.outer].into_iter().zip(children) {
            *place = child;
        }
        Ok(Arc::new(copy))
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let x = call.single()?.clone();
        let mut y = x.clone();
        for value in call.child(&self.inner, Args::one(Value::from(x)))? {
            if self.penalty > 0.0 {
                call.add_loss((value.tensor.sqr()?.mean_all()? * self.penalty)?);
            }
            for outer in call.child(&self.outer, Args::one(value))? {
                y = (y + outer.tensor)?;
            }
        }
        Ok(vec![y])
    }
}

/// A recurrent cell that forgets at a rate it learns: `s' = s + sigmoid(rate) (tanh(x w) - s)`.
#[derive(Clone, Debug, Config)]
#[config(package = "example")]
pub struct LeakyCell {
    /// Length of the state and of the output.
    #[config(range = "[1, inf)")]
    pub units: usize,
}

impl LeakyCell {
    fn state_of(&self, x: &Spec) -> Dims {
        Dims(vec![x.dims.0.first().copied().flatten(), Some(self.units)])
    }
}

impl Layer for LeakyCell {
    fn arguments(&self) -> &'static [&'static str] {
        &["inputs", "states"]
    }

    /// What it carries from step to step.
    fn states(&self, x: &Spec) -> Result<Option<Vec<Dims>>> {
        Ok(Some(vec![self.state_of(x)]))
    }

    /// The output of a step, then the states after it.
    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let first = x.flat().first().map(|x| self.state_of(x));
        let state = Spec::float(first.ok_or_else(|| Error::layer("", "needs an input"))?);
        Ok(vec![state.clone(), state])
    }

    fn weights(&self, x: &Args<Spec>) -> Result<Vec<WeightSpec>> {
        let features = x.flat().first().map_or(Ok(0), |x| x.dims.last())?;
        let glorot = Arc::new(GlorotUniform::new());
        Ok(vec![
            WeightSpec::new("kernel", &[features, self.units], glorot.clone()),
            WeightSpec::new("rate", &[1, self.units], glorot),
        ])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        // The input, then the list of states.
        let [x, state] = call.tensors()[..] else {
            return Err(Error::layer("", "takes an input and one state"));
        };
        let candidate = x.matmul(&call.weight("kernel")?)?.tanh()?;
        // 1 / (1 + exp(-rate))
        let rate = (call.weight("rate")?.neg()?.exp()? + 1.0)?.recip()?;
        let next = (state + (candidate - state)?.broadcast_mul(&rate)?)?;
        Ok(vec![next.clone(), next])
    }
}

/// Everything of our own that files of this program hold.
pub fn objects() -> CustomObjects {
    CustomObjects::new().register::<Layers, Residual>().register::<Layers, LeakyCell>()
}

/// Learns whether the mean of a sequence is above 0. The scores before and after the way through a file.
pub fn train(path: &std::path::Path) -> Result<(Scores, Scores)> {
    const STEPS: usize = 8;
    let mut random = Stream::named(0, "sequences");
    let x: Vec<[[f32; 1]; STEPS]> =
        (0..400).map(|_| std::array::from_fn(|_| [random.normal() as f32])).collect();
    let y: Vec<[f32; 1]> = x
        .iter()
        .map(|steps| [f32::from(steps.iter().map(|[value]| value).sum::<f32>() > 0.0)])
        .collect();
    let inner = Dense::new(16).activation("relu");
    let mut model = Sequential::new()
        .add(RNN::new(LeakyCell::new(8)).input_shape([STEPS, 1]))
        .add(Residual::new(inner, Dense::new(8)).penalty(1e-4))
        .add(Dense::new(1).activation("sigmoid"));
    let compile = Compile::new(Adam::new(0.01), "binary_crossentropy").metrics(["accuracy"]);
    model.compile_with(compile)?;
    model.fit_with(&x, &y, Fit::new(20, 32).verbose(Verbose::Silent))?;
    model.save(path)?;
    let before = model.evaluate(&x, &y)?;
    let mut loaded = objects().scope(|| Model::load(path))?;
    Ok((before, loaded.evaluate(&x, &y)?))
}

#[allow(dead_code)] // A test includes this file as a module.
fn main() -> Result<()> {
    let (before, after) = train(&std::env::temp_dir().join("custom_block.keras"))?;
    println!("before {before}\nafter  {after}");
    Ok(())
}
