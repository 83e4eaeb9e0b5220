//! What people should hear of once in a run that does not do well: classes that nothing is learned or said
//! about (this file, before the first step), gradients that explode, units that are dead.

mod dead_units;
mod gradient_norm;

pub(crate) use dead_units::DeadUnits;
pub(crate) use gradient_norm::GradientNorm;

use crate::model::Model;
use crate::optimizers::OptimizerState;
use sconce_core::{DType, Gradients, Result, Tensor};
use sconce_data::Batch;
use sconce_model::Graph;
use std::collections::BTreeSet;

/// Classes that a message lists.
const LISTED: usize = 8;

/// Adds a notice for each output whose training targets lack some of its classes, and for validation
/// targets that lack some of those trained on. Each is said once.
pub(crate) fn tell_of_unseen_classes(
    model: &mut Model,
    train: &Batch,
    validation: Option<&Batch>,
) -> Result<()> {
    let parts = model.parts()?;
    let outputs = parts.network.graph().output_dims();
    let mut notices = Vec::new();
    for (index, head) in parts.compiled.heads().iter().enumerate() {
        let sparse = head.loss().is_some_and(|l| l.class_name() == "SparseCategoricalCrossentropy");
        let classes = outputs.get(index).and_then(|dims| dims.0.last().copied().flatten());
        let (true, Some(classes)) = (sparse, classes) else { continue };
        let target = |batch: &Batch| -> Result<Option<BTreeSet<i64>>> {
            let place = parts.compiled.target_of(index, batch.y.len());
            place.and_then(|place| batch.y.get(place)).map(labels).transpose()
        };
        let Some(seen) = target(train)? else { continue };
        let of = if outputs.len() > 1 { format!(" of `{}`", head.name()) } else { String::new() };
        let missing: Vec<i64> = (0..classes as i64).filter(|c| !seen.contains(c)).collect();
        if !missing.is_empty() {
            notices.push(format!(
                "the training targets{of} hold none of {}, of {classes} classes; the model cannot learn \
                 {them}. Give it samples of {them}, or fewer units",
                listed(&missing),
                them = if missing.len() == 1 { "it" } else { "them" },
            ));
        }
        let Some(validated) = validation.map(target).transpose()?.flatten() else { continue };
        let missing: Vec<i64> = seen.difference(&validated).copied().collect();
        if !missing.is_empty() {
            notices.push(format!(
                "the validation targets{of} hold none of {}, which the training targets hold, so that no \
                 score speaks of {}. `validation_split` takes the last rows as they lie: shuffle them \
                 first",
                listed(&missing),
                if missing.len() == 1 { "it" } else { "them" },
            ));
        }
    }
    for notice in notices {
        if !parts.compiled.notices().contains(&notice) {
            parts.compiled.add_notice(notice);
        }
    }
    Ok(())
}

fn labels(y: &Tensor) -> Result<BTreeSet<i64>> {
    let labels = y.flatten_all()?.to_dtype(DType::I64)?.to_vec1::<i64>()?;
    Ok(labels.into_iter().collect())
}

/// "the class 3", "the classes 1, 2 and 7 more".
fn listed(classes: &[i64]) -> String {
    let names: Vec<String> = classes.iter().take(LISTED).map(i64::to_string).collect();
    let more = match classes.len().saturating_sub(LISTED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let word = if classes.len() == 1 { "class" } else { "classes" };
    format!("the {word} {}{more}", names.join(", "))
}

/// What is watched while a model is trained.
#[derive(Debug, Default)]
pub(crate) struct Health {
    pub gradients: GradientNorm,
    /// The layers whose outputs are looked at in this epoch.
    pub units: Option<DeadUnits>,
    /// The layers that were told of.
    told_of: BTreeSet<String>,
    /// What there is to say.
    notices: Vec<String>,
}

impl Health {
    /// At the start of an epoch, from 0: outputs are looked at in the first, second, fourth, eighth and so
    /// on.
    pub fn epoch_begin(&mut self, epoch: usize, graph: &Graph) {
        let units = (epoch + 1).is_power_of_two().then(|| DeadUnits::of(graph, &self.told_of));
        self.units = units.filter(|units| !units.is_empty());
    }

    /// At its end, after its last batch.
    pub fn epoch_end(&mut self, epoch: usize) {
        for (layer, notice) in self.units.take().into_iter().flat_map(|u| u.notices(epoch + 1)) {
            self.told_of.insert(layer);
            self.notices.push(notice);
        }
    }

    /// Looks at the gradients of an update, if it is their turn.
    pub fn look_at(
        &mut self,
        gradients: &Gradients,
        loss_scale: Option<f64>,
        optimizer: &OptimizerState,
    ) -> Result<()> {
        self.notices.extend(self.gradients.look(gradients, loss_scale, optimizer)?);
        Ok(())
    }

    /// What there is to say since this was last asked for.
    pub fn take_notices(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notices)
    }
}

#[cfg(test)]
mod tests {
    use crate::callbacks::LambdaCallback;
    use crate::optimizers::{OptimizerExt, SGD};
    use crate::{Fit, Flow, Sequential, Verbose};
    use sconce_core::{Device, Tensor};
    use sconce_layers::initializers::Constant;
    use sconce_layers::{Conv2D, Dense, Flatten, LayerExt};
    use std::sync::{Arc, Mutex};

    /// What is said during a run.
    fn told(model: &mut Sequential, x: &Tensor, y: &Tensor, epochs: usize) -> Vec<String> {
        let said = Arc::new(Mutex::new(Vec::new()));
        let taken = said.clone();
        let listening = LambdaCallback::new().on_epoch_end(move |_, _, run| {
            let health = &mut run.model.compiled.as_mut().unwrap().health;
            taken.lock().unwrap().extend(health.take_notices());
            Ok(Flow::Continue)
        });
        let fit = Fit::new(epochs, 4).shuffle(false).verbose(Verbose::Silent).callback(listening);
        model.fit_with(x, y, fit).unwrap();
        said.lock().unwrap().clone()
    }

    #[test]
    fn classes_that_are_never_seen_are_told_of_once() {
        let mut model = Sequential::new().add(Dense::new(5).activation("softmax"));
        model.compile("sgd", "sparse_categorical_crossentropy").unwrap();
        let x = Tensor::zeros((8, 2), sconce_core::DType::F32, &Device::Cpu).unwrap();
        let y = Tensor::new(&[0i64, 1, 2, 1, 0, 2, 1, 1], &Device::Cpu).unwrap();
        for _ in 0..2 {
            let fit = Fit::new(1, 4).validation_split(0.25).verbose(Verbose::Silent);
            model.fit_with(&x, &y, fit).unwrap();
        }
        let [training, validation] = model.compiled().unwrap().notices() else {
            panic!("{:?}", model.compiled().unwrap().notices())
        };
        assert!(training.contains("hold none of the classes 3, 4, of 5 classes"), "{training}");
        assert!(validation.contains("hold none of the classes 0, 2, which the training"));
    }

    #[test]
    fn units_that_are_always_zero_are_told_of_once() {
        let mut model = Sequential::new()
            .add(
                Conv2D::new(4, [1, 1])
                    .activation("relu")
                    .bias_initializer(Constant::new(-9.0))
                    .name("c"),
            )
            .add(Flatten::new())
            .add(
                Dense::new(6).activation("relu").bias_initializer(Constant::new(1.0)).name("alive"),
            )
            .add(Dense::new(1));
        model.compile(SGD::new(1e-6), "mse").unwrap();
        let x = Tensor::ones((8, 2, 2, 1), sconce_core::DType::F32, &Device::Cpu).unwrap();
        let y = Tensor::zeros((8, 1), sconce_core::DType::F32, &Device::Cpu).unwrap();
        let told = told(&mut model, &x, &y, 4);
        let [one] = told.as_slice() else { panic!("{told:?}") };
        assert!(one.starts_with("4 of the 4 units of the layer c (100 %) are 0"), "{one}");
        assert!(one.contains("for every sample of epoch 1,"), "{one}");
    }

    /// One sample in the last batch wakes them.
    #[test]
    fn units_that_one_sample_wakes_are_not_dead() {
        let mut model = Sequential::new()
            .add(Dense::new(3).activation("relu").kernel_initializer("ones"))
            .add(Dense::new(1));
        model.compile(SGD::new(1e-6), "mse").unwrap();
        let mut values = vec![-1f32; 9];
        values[8] = 2.0;
        let x = Tensor::from_vec(values.clone(), (9, 1), &Device::Cpu).unwrap();
        assert_eq!(told(&mut model, &x, &x, 2), Vec::<String>::new());
        values[8] = -1.0;
        let x = Tensor::from_vec(values, (9, 1), &Device::Cpu).unwrap();
        assert_eq!(told(&mut model, &x, &x, 2).len(), 1);
    }

    /// Each update multiplies the weight, and the gradient, by -1.2.
    #[test]
    fn exploding_gradients_are_told_of_once_and_not_with_clipping() {
        let x = Tensor::ones((4, 1), sconce_core::DType::F32, &Device::Cpu).unwrap();
        let y = x.zeros_like().unwrap();
        let run = |optimizer: SGD| {
            let dense = Dense::new(1).use_bias(false).kernel_initializer("ones");
            let mut model = Sequential::new().add(dense);
            model.compile(optimizer, "mse").unwrap();
            told(&mut model, &x, &y, 100)
        };
        let told = run(SGD::new(1.1));
        let [one] = told.as_slice() else { panic!("{told:?}") };
        // The norm of update n is 2 * 1.2^(n - 1); the largest of the first ten is the tenth's.
        let expected =
            format!("is {:.3e} at update 65, {:.0} times", 2.0 * 1.2f64.powi(64), 1.2f64.powi(55));
        assert!(one.contains(&expected), "{expected}: {one}");
        assert!(one.contains("Try a smaller learning rate, or clipnorm"), "{one}");
        assert_eq!(run(SGD::new(1.1).global_clipnorm(1e30)), Vec::<String>::new());
        assert_eq!(run(SGD::new(0.1)), Vec::<String>::new());
    }
}
