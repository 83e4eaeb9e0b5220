//! What recurrent layers do across calls: states that last, states handed over, masks on their way.

use sconce::layers::run;
use sconce::prelude::*;

fn close(a: &Tensor, b: &Tensor) {
    sconce_testkit::assert_close("tensors", a, b, 1e-5);
}

/// A stateful model over sequences of 3 features.
fn stateful() -> Model {
    let x = Input::of_layer(InputLayer::of(Dims(vec![None, None, Some(3)])));
    let h = LSTM::new(4).stateful(true).name("memory").apply(&x).unwrap();
    let y = Dense::new(2).apply(&h).unwrap();
    let mut model = Model::new([&x], [&y]).unwrap();
    model.compile("sgd", "mse").unwrap();
    model
}

fn sample(dims: &[usize]) -> Tensor {
    sconce::ops::gradient_check::sample("x", dims).unwrap().to_dtype(DType::F32).unwrap()
}

#[test]
fn states_last_from_batch_to_batch_until_they_are_reset() {
    let model = stateful();
    let x = sample(&[2, 6, 3]);
    let whole = model.predict_with(&x, 2).unwrap();
    model.reset_states();
    let first = model.predict_with(&x.narrow(1, 0, 4).unwrap(), 2).unwrap();
    let second = model.predict_with(&x.narrow(1, 4, 2).unwrap(), 2).unwrap();
    close(&second, &whole);
    model.reset_states();
    close(&model.predict_with(&x.narrow(1, 0, 4).unwrap(), 2).unwrap(), &first);
    let error = model.predict_with(&sample(&[3, 4, 3]), 3).unwrap_err().to_string();
    assert!(error.contains("[2, 4], this batch needs (3, 4)"), "{error}");
}

/// Steps that a mask leaves out keep the states, also over the end of a batch. (The next begins with a step that
/// counts: what comes out before that is 0 in each batch.)
#[test]
fn masked_states_of_images_last_from_batch_to_batch() {
    let x = Input::of_layer(InputLayer::of(Dims(vec![None, None, Some(4), Some(3), Some(2)])));
    let mask = Input::of_layer(InputLayer::of(Dims(vec![None, None])).dtype("bool"));
    let layer = ConvLSTM2D::new(2, 2).stateful(true).return_sequences(true);
    let y = layer.apply(Args::one(x.clone()).named("mask", mask.clone())).unwrap();
    let mut model = Model::new([&x, &mask], [&y]).unwrap();
    model.compile("sgd", "mse").unwrap();
    let x = sample(&[2, 6, 4, 3, 2]);
    let counts = Tensor::new(&[[1u8, 0, 1, 0, 1, 0], [0, 1, 1, 0, 1, 1]], &Device::Cpu).unwrap();
    let part = |start: usize, len: usize| {
        let part = |x: &Tensor| x.narrow(1, start, len).unwrap().contiguous().unwrap();
        model.predict_with(&[part(&x), part(&counts)][..], 2).unwrap()
    };
    let whole = part(0, 6);
    model.reset_states();
    close(&part(0, 4), &whole.narrow(1, 0, 4).unwrap());
    close(&part(4, 2), &whole.narrow(1, 4, 2).unwrap());
    let first = whole.get(0).unwrap();
    close(&first.narrow(0, 3, 1).unwrap(), &first.narrow(0, 2, 1).unwrap());
}

#[test]
fn states_are_no_weights_and_in_no_file() {
    let mut model = stateful();
    let (x, y) = (sample(&[2, 4, 3]), sample(&[2, 2]));
    model.train_on_batch(&x, &y).unwrap();
    let names: Vec<String> =
        model.store().unwrap().parameters().iter().map(|p| p.path.clone()).collect();
    assert_eq!(names.len(), 5, "{names:?}");
    assert_eq!(names[0], "memory/lstm_cell/kernel");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stateful.keras");
    model.save(&path).unwrap();
    let loaded = Model::load(&path).unwrap();
    model.reset_states();
    close(&loaded.predict_with(&x, 2).unwrap(), &model.predict_with(&x, 2).unwrap());
}

#[test]
fn a_decoder_begins_where_the_encoder_ends() {
    let x = Input::new([5, 3]);
    let mut encoded = LSTM::new(4).return_state(true).apply_all(&x).unwrap();
    let states: Vec<SymbolicTensor> = encoded.drain(1..).collect();
    let decoder = LSTM::new(4).return_sequences(true).entry();
    let args = Args::one(x.clone()).arg(Arg::List(states.into_iter().map(Arg::One).collect()));
    let y = decoder.apply(args).unwrap();
    let mut model = Model::new([&x], [&y]).unwrap();
    model.compile("sgd", "mse").unwrap();
    assert_eq!(model.predict(&sample(&[2, 5, 3])).unwrap().dims(), [2, 5, 4]);
    let again = Model::from_json(&model.to_json().unwrap()).unwrap();
    assert_eq!(again.to_json().unwrap(), model.to_json().unwrap());
}

#[test]
fn a_mask_of_an_embedding_reaches_the_loss_through_recurrent_layers() {
    let x = Input::typed([4], "int64");
    let words = Embedding::new(6, 3).mask_zero(true).apply(&x).unwrap();
    let h = Bidirectional::new(GRU::new(2).return_sequences(true)).apply(&words).unwrap();
    let y = TimeDistributed::new(Dense::new(1)).apply(&h).unwrap();
    let mut model = Model::new([&x], [&y]).unwrap();
    model.compile("sgd", "mse").unwrap();
    let ids = |last: i64| Tensor::new(&[[3i64, 1, last, 0], [2, 0, 0, 0]], &Device::Cpu).unwrap();
    let target = |padding: f32| {
        let rows = [[[1f32], [1.0], [1.0], [padding]], [[1.0], [padding], [padding], [padding]]];
        Tensor::new(&rows, &Device::Cpu).unwrap()
    };
    let loss = |model: &mut Model, ids: &Tensor, target: &Tensor| {
        model.test_on_batch(ids, target).unwrap().get("loss").unwrap()
    };
    let (a, b) = (loss(&mut model, &ids(4), &target(0.0)), loss(&mut model, &ids(4), &target(9.0)));
    assert_eq!(a, b, "padding does not count");
    assert_ne!(a, loss(&mut model, &ids(0), &target(0.0)));
}

#[test]
fn indices_outside_the_vocabulary_name_the_layer() {
    let layer = Embedding::new(4, 2).name("words").entry();
    let ids = Tensor::new(&[[1i64, 4]], &Device::Cpu).unwrap();
    let error = run(&layer, &[&ids], &mut Context::inference()).unwrap_err().to_string();
    assert!(error.contains("words") && error.contains("0..4") && error.contains('4'), "{error}");
}

#[test]
fn what_is_no_recurrent_layer_or_cell_is_refused() {
    let x = Input::new([4, 3]);
    let error = RNN::new(Dense::new(2)).apply(&x).unwrap_err().to_string();
    assert!(error.contains("Dense is no recurrent cell"), "{error}");
    let error = Bidirectional::new(Dense::new(2)).apply(&x).unwrap_err().to_string();
    assert!(error.contains("must be a recurrent layer, found Dense"), "{error}");
    let forwards = Bidirectional::new(LSTM::new(2)).backward_layer(LSTM::new(2));
    let error = forwards.apply(&x).unwrap_err().to_string();
    assert!(error.contains("different directions"), "{error}");
    let states = Args::one(x.clone()).arg(Arg::List(vec![Arg::One(Input::new([2]))]));
    let error = LSTM::new(2).apply(states).unwrap_err().to_string();
    assert!(error.contains("LSTM has 2 states, initial_state has 1"), "{error}");
}
