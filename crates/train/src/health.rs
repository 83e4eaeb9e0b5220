//! What people should hear of once in a run that does not do well: classes that nothing is learned or said
//! about (before the first step), gradients that explode or are always 0, units that are dead.

mod dead_units;
mod gradient_norm;
mod labels;
mod zero_gradients;

pub(crate) use dead_units::DeadUnits;
pub(crate) use gradient_norm::GradientNorm;
pub(crate) use labels::tell_of_unseen_classes;
pub(crate) use zero_gradients::ZeroGradients;

use crate::optimizers::OptimizerState;
use sconce_core::{Gradients, Result, Store};
use sconce_model::Graph;
use std::collections::BTreeSet;

/// What is watched while a model is trained.
#[derive(Debug, Default)]
pub(crate) struct Health {
    pub gradients: GradientNorm,
    zero_gradients: ZeroGradients,
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
    pub fn epoch_end(&mut self, epoch: usize, store: &Store) {
        for (layer, notice) in self.units.take().into_iter().flat_map(|u| u.notices(epoch + 1)) {
            self.told_of.insert(layer);
            self.notices.push(notice);
        }
        self.notices.extend(self.zero_gradients.notice(store, !self.told_of.is_empty()));
    }

    /// Looks at the gradients of an update, if it is their turn.
    pub fn look_at(
        &mut self,
        gradients: &Gradients,
        loss_scale: Option<f64>,
        optimizer: &OptimizerState,
    ) -> Result<()> {
        self.zero_gradients.look(gradients)?;
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
    use crate::losses::{LossFn, SparseCategoricalCrossentropy};
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
        assert_eq!(
            training,
            "the training targets hold none of the classes 3, 4, of 5 classes; the model cannot learn \
             them. Give it samples of them, or fewer units"
        );
        assert_eq!(
            validation,
            "the validation targets hold none of the classes 0, 2, which the training targets hold, so \
             that no score speaks of them. `validation_split` takes the last rows as they lie: shuffle \
             them first"
        );
    }

    /// What is told of targets in whatever form, the last two of which are for validation.
    fn told_of(loss: impl Into<LossFn>, units: usize, y: &Tensor) -> Vec<String> {
        let mut model = Sequential::new().add(Dense::new(units).activation("sigmoid"));
        model.compile("sgd", loss).unwrap();
        let rows = y.dims()[0];
        let x = Tensor::zeros((rows, 2), sconce_core::DType::F32, &Device::Cpu).unwrap();
        let fit = Fit::new(1, 4).validation_split(2.0 / rows as f64).verbose(Verbose::Silent);
        model.fit_with(&x, y, fit).unwrap();
        model.compiled().unwrap().notices().to_vec()
    }

    #[test]
    fn classes_are_counted_in_columns_and_of_two_as_well() {
        let rows = |values: &[f32], width: usize| {
            Tensor::from_slice(values, (values.len() / width, width), &Device::Cpu).unwrap()
        };
        let columns =
            rows(&[1., 0., 0., 0., 1., 0., 1., 0., 0., 0., 1., 0., 0., 1., 0., 0., 1., 0.], 3);
        let told = told_of("categorical_crossentropy", 3, &columns);
        let [training, validation] = told.as_slice() else { panic!("{told:?}") };
        assert!(
            training.contains("hold none of the class 2, of 3 classes; the model"),
            "{training}"
        );
        assert!(
            validation.contains("hold none of the class 0, which the training"),
            "{validation}"
        );
        let told = self::told_of("binary_crossentropy", 1, &rows(&[1., 1., 1., 1., 1., 0.], 1));
        let [training] = told.as_slice() else { panic!("{told:?}") };
        assert!(
            training.ends_with("of 2 classes; the model cannot learn it. Give it samples of it")
        );
        let told = self::told_of("binary_crossentropy", 1, &rows(&[0., 1., 0., 1., 1., 1.], 1));
        let [validation] = told.as_slice() else { panic!("{told:?}") };
        assert!(
            validation.contains("hold none of the class 0, which the training"),
            "{validation}"
        );
        // Pictures of grey values, and several labels at once, have no classes to miss.
        let grey = rows(&[0.25, 0.5, 0.25, 0.75, 0.5, 0.5], 1);
        assert_eq!(self::told_of("binary_crossentropy", 1, &grey), Vec::<String>::new());
        let labels = rows(&[0., 1., 0., 0., 0., 1., 0., 0.], 2);
        assert_eq!(self::told_of("binary_crossentropy", 2, &labels), Vec::<String>::new());
        // Nobody misses a class that is ignored.
        let loss = SparseCategoricalCrossentropy::new().ignore_class(2);
        let y = Tensor::new(&[0i64, 1, 1, 0, 0, 1], &Device::Cpu).unwrap();
        assert_eq!(self::told_of(loss, 3, &y), Vec::<String>::new());
    }

    /// Behind the layer is one that multiplies by 0 for good.
    #[test]
    fn weights_whose_gradient_is_always_zero_are_told_of_once() {
        let model = |initializer: &str| {
            let after = Dense::new(1).kernel_initializer(initializer).trainable(false);
            let mut model =
                Sequential::new().add(Dense::new(2).use_bias(false).name("before")).add(after);
            model.compile(SGD::new(0.01), "mse").unwrap();
            model
        };
        let x = Tensor::ones((12, 1), sconce_core::DType::F32, &Device::Cpu).unwrap();
        let told = told(&mut model("zeros"), &x, &x, 4);
        let [one] = told.as_slice() else { panic!("{told:?}") };
        assert!(
            one.starts_with("the gradient of these weights was 0 in all of the 6 updates"),
            "{one}"
        );
        assert!(one.contains("they learn nothing: before/kernel. Inputs"), "{one}");
        assert!(one.contains("freeze them with `trainable(false)` if it is meant"), "{one}");
        assert_eq!(self::told(&mut model("ones"), &x, &x, 4), Vec::<String>::new());
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
        assert!(one.contains("for every sample of epoch 1, so that nothing is learned"), "{one}");
        assert!(one.contains("Try a smaller learning rate, he_normal"), "{one}");
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
