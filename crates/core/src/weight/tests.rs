use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts up from a number, and how often it was asked.
struct Counting(f32, AtomicUsize);

impl Counting {
    fn from(first: f32) -> Arc<Self> {
        Arc::new(Self(first, AtomicUsize::new(0)))
    }
}

impl Initializer for Counting {
    fn values(&self, dims: &[usize], _: &mut Stream) -> Result<Vec<f32>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        Ok((0..dims.iter().product()).map(|i| self.0 + i as f32).collect())
    }
}

/// Too few values, or a refusal.
struct Wrong(bool);

impl Initializer for Wrong {
    fn values(&self, _: &[usize], _: &mut Stream) -> Result<Vec<f32>> {
        Ok(vec![1.0])
    }

    fn check(&self) -> Result<()> {
        if self.0 { Err(Error::config("scale", "must be positive")) } else { Ok(()) }
    }
}

fn make(spec: WeightSpec, first: FirstValues) -> Result<Weight> {
    Weight::new(spec, "dense", &Device::Cpu, DType::F32, first)
}

fn weight(name: &str) -> Arc<Weight> {
    let spec = WeightSpec::new(name, &[2], Counting::from(0.0));
    Arc::new(make(spec, FirstValues::Seed(0)).unwrap())
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn first_values_come_from_the_initializer_or_are_zeros() {
    let initializer = Counting::from(1.0);
    let spec = || WeightSpec::new("kernel", &[2, 2], initializer.clone());
    let drawn = make(spec(), FirstValues::Seed(3)).unwrap();
    assert_eq!(values(&drawn.var), [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(initializer.1.load(Ordering::Relaxed), 1);
    let zeros = make(spec(), FirstValues::Zeros).unwrap();
    assert_eq!((values(&zeros.var), zeros.var.dims()), (vec![0.0; 4], &[2, 2][..]));
    assert_eq!(initializer.1.load(Ordering::Relaxed), 1, "nothing was drawn");
}

/// A file may claim weights that it does not hold; that it does not is found before they take memory.
#[test]
#[cfg(target_os = "linux")]
fn zeros_take_no_memory_until_they_are_set() {
    let peak = || -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let before = peak();
    let spec = WeightSpec::new("kernel", &[20_000, 20_000], Counting::from(1.0));
    let zeros = make(spec, FirstValues::Zeros).unwrap();
    assert_eq!(zeros.var.dims(), [20_000, 20_000]);
    let kilobytes = peak() - before;
    assert!(kilobytes < 400_000, "{kilobytes} kB of 1.6 GB");
}

#[test]
fn state_keeps_a_type_of_its_own() {
    let big = Counting::from(16_777_215.0);
    let spec = WeightSpec::new("count", &[2], big).dtype(DType::I64).non_trainable();
    let count = make(spec, FirstValues::Seed(0)).unwrap();
    assert!(count.is_state && count.var.dtype() == DType::I64);
    assert_eq!(count.var.to_vec1::<i64>().unwrap(), [(1 << 24) - 1, 1 << 24]);
    let spec = WeightSpec::new("seed", &[], Counting::from(0.0)).dtype(DType::U32);
    assert_eq!(make(spec, FirstValues::Zeros).unwrap().var.dtype(), DType::U32);
}

#[test]
fn wrong_initializers_are_refused_with_the_path() {
    let spec = |refuses| WeightSpec::new("kernel", &[2, 3], Arc::new(Wrong(refuses)));
    let message = make(spec(false), FirstValues::Seed(0)).map(drop).unwrap_err().to_string();
    assert_eq!(message, "layer `dense/kernel`: its initializer made 1 values for shape [2, 3]");
    let message = make(spec(true), FirstValues::Seed(0)).map(drop).unwrap_err().to_string();
    assert!(message.contains("must be positive"), "{message}");
}

#[test]
fn a_frozen_weight_is_seen_without_tracking_in_the_same_memory() {
    let weight = weight("kernel");
    assert!(weight.value(true).is_variable() && !weight.value(false).track_op());
    weight.var.set(&Tensor::new(&[5f32, 6.0], &Device::Cpu).unwrap()).unwrap();
    assert_eq!(values(weight.value(false)), [5.0, 6.0]);
}

#[test]
fn paths_are_taken_once_and_weights_stand_once() {
    let mut store = Store::new();
    let (a, b) = (weight("kernel"), weight("kernel"));
    store.add("a/kernel".to_string(), a.clone(), true).unwrap();
    store.add("elsewhere/kernel".to_string(), a.clone(), true).unwrap();
    let message = store.add("a/kernel".to_string(), b.clone(), true).unwrap_err().to_string();
    assert_eq!(message, "layer `a/kernel`: two weights of the model have this path");
    store.add("b/kernel".to_string(), b, true).unwrap();
    let paths: Vec<&str> = store.parameters().iter().map(|p| p.path.as_str()).collect();
    assert_eq!(paths, ["a/kernel", "b/kernel"]);
    assert!(Arc::ptr_eq(&store.get("a/kernel").unwrap().weight, &a));
    let message = store.get("a/kernle").map(drop).unwrap_err().to_string();
    assert!(message.contains("Did you mean `a/kernel`?"), "{message}");
}

#[test]
fn state_and_frozen_weights_are_not_trained() {
    let mut store = Store::new();
    let spec = WeightSpec::new("mean", &[2], Counting::from(0.0)).non_trainable();
    let state = Arc::new(make(spec, FirstValues::Zeros).unwrap());
    store.add("n/mean".to_string(), state, true).unwrap();
    store.add("a/kernel".to_string(), weight("kernel"), true).unwrap();
    store.add("b/kernel".to_string(), weight("kernel"), false).unwrap();
    assert_eq!(store.trainable().map(|p| p.path.as_str()).collect::<Vec<_>>(), ["a/kernel"]);
}

/// As in Keras, where freezing a model freezes the layers in it wherever else they stand.
#[test]
fn a_shared_weight_is_frozen_if_it_is_frozen_anywhere() {
    for order in [[true, false], [false, true]] {
        let (mut store, shared) = (Store::new(), weight("kernel"));
        for (path, trainable) in ["a/kernel", "b/kernel"].iter().zip(order) {
            store.add(path.to_string(), shared.clone(), trainable).unwrap();
        }
        assert_eq!(store.trainable().count(), 0, "{order:?}");
        assert_eq!(store.parameters().len(), 1);
    }
}

#[test]
fn values_are_set_by_shape_and_brought_to_the_type() {
    let mut store = Store::new();
    let spec = WeightSpec::new("count", &[2], Counting::from(0.0)).dtype(DType::I64);
    let count = Arc::new(make(spec, FirstValues::Zeros).unwrap());
    store.add("d/count".to_string(), count, true).unwrap();
    let parameter = store.get("d/count").unwrap();
    parameter.set(&Tensor::new(&[1f32, 2.0], &Device::Cpu).unwrap()).unwrap();
    assert_eq!(parameter.var.to_vec1::<i64>().unwrap(), [1, 2]);
    // Its own value too.
    parameter.set(parameter.var.as_tensor()).unwrap();
    let wrong = parameter.set(&Tensor::zeros(3, DType::F32, &Device::Cpu).unwrap()).unwrap_err();
    assert!(wrong.to_string().contains("expected a weight of shape [2], got [3]"), "{wrong}");
}

#[test]
fn gradients_stand_in_the_order_of_the_store_and_missing_ones_are_named() {
    let mut store = Store::new();
    for name in ["a", "b", "c"] {
        store.add(format!("{name}/kernel"), weight("kernel"), name != "b").unwrap();
    }
    let value = |path: &str| store.get(path).unwrap().var.as_tensor().clone();
    let loss = (value("c/kernel") * 3.0).unwrap().sum_all().unwrap();
    let gradients = store.backward(&loss).unwrap();
    assert!(gradients.0[0].is_none());
    assert_eq!(values(gradients.0[1].as_ref().unwrap()), [3.0, 3.0]);
    let message = gradients.audit(&store).unwrap_err().to_string();
    assert!(message.contains("get no gradient from the loss: a/kernel. Connect"), "{message}");
    let loss = (value("c/kernel") + value("a/kernel")).unwrap().sum_all().unwrap();
    store.backward(&loss).unwrap().audit(&store).unwrap();
    // A sink of other weights is replaced.
    let (loss, tape) = Tape::record(|| (value("a/kernel") * 2.0).unwrap().sum_all().unwrap());
    let mut sink = GradientSink::default();
    let gradients = store.backward_into(&loss, &tape, &mut sink).unwrap();
    assert_eq!(values(gradients.0[0].as_ref().unwrap()), [2.0, 2.0]);
    assert!(sink.is_for(store.trainable().map(|p| p.var.as_tensor())));
}

#[test]
fn a_weight_beyond_memory_is_an_error() {
    check_memory(&[1000, 1000], DType::F32).unwrap();
    check_memory(&[], DType::F64).unwrap();
    check_memory(&[0, usize::MAX], DType::F32).unwrap();
    for dims in [&[usize::MAX][..], &[1 << 40, 1 << 40], &[1 << 60]] {
        let error = check_memory(dims, DType::F32).unwrap_err().to_string();
        assert!(error.contains("does not fit into memory"), "{error}");
    }
}
