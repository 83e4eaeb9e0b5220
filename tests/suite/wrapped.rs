//! LoRA, SpectralNormalization and models in TimeDistributed, as programs use them.

use sconce::core::{Args, FirstValues, Spec};
use sconce::layers::BuildOptions;
use sconce::prelude::*;

fn sample(dims: &[usize]) -> Tensor {
    sconce::ops::gradient_check::sample("x", dims).unwrap().to_dtype(DType::F32).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn lora_is_enabled_on_a_trained_model_and_merged_into_its_file() {
    let mut model = Sequential::new()
        .add(Dense::new(4).activation("tanh").name("wide").input_shape([3]))
        .add(Dense::new(2).name("out"))
        .into_model();
    model.compile("sgd", "mse").unwrap();
    let (x, y) = (sample(&[6, 3]), sample(&[6, 2]));
    model.fit_with(&x, &y, Fit::new(1, 3).verbose(Verbose::Silent)).unwrap();
    let before = values(&model.predict(&x).unwrap());
    let wide = model.get_layer("wide").unwrap();
    wide.enable_lora(2, Some(4.0)).unwrap();
    model.compile("sgd", "mse").unwrap();
    assert_eq!(values(&model.predict(&x).unwrap()), before, "the change is 0 at first");
    let trained: Vec<String> = model.store().unwrap().trainable().map(|p| p.path.clone()).collect();
    let lora = ["wide/lora_kernel_a", "wide/lora_kernel_b"];
    assert_eq!(trained, ["wide/bias", lora[0], lora[1], "out/kernel", "out/bias"]);

    let kernel =
        |model: &Model| values(model.store().unwrap().get("wide/kernel").unwrap().var.as_tensor());
    let stays = kernel(&model);
    model.fit_with(&x, &y, Fit::new(4, 3).verbose(Verbose::Silent)).unwrap();
    assert_eq!(kernel(&model), stays);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lora.keras");
    model.save(&path).unwrap();
    let loaded = Model::load(&path).unwrap();
    sconce_testkit::assert_close(
        "predictions",
        &loaded.predict(&x).unwrap(),
        &model.predict(&x).unwrap(),
        1e-6,
    );
    assert_ne!(kernel(&loaded), stays);
    let b = loaded.store().unwrap().get(lora[1]).unwrap();
    assert!(values(b.var.as_tensor()).iter().all(|value| *value == 0.0));
}

#[test]
fn lora_is_refused_where_it_cannot_be() {
    let refused =
        |layer: LayerEntry, rank: usize| layer.enable_lora(rank, None).unwrap_err().to_string();
    let built = |layer: LayerEntry, x: &Tensor| {
        let spec = Spec::float(Dims::batch_of(&x.dims()[1..]));
        let options = BuildOptions { device: &Device::Cpu, first: FirstValues::Seed(0) };
        layer.build(&Args::one(spec), "", options).unwrap();
        layer
    };
    let x = sample(&[2, 3]);
    let error = refused(Dense::new(2).name("fc").entry(), 1);
    assert!(error.contains("fc") && error.contains("is not built"), "{error}");
    let error = refused(built(LayerNormalization::new().entry(), &x), 1);
    assert!(error.contains("LayerNormalization has no LoRA"), "{error}");
    let error = refused(built(Dense::new(2).entry(), &x), 0);
    assert!(error.contains("at least 1"), "{error}");
    let error = refused(built(Dense::new(2).kernel_constraint("non_neg").entry(), &x), 1);
    assert!(error.contains("kernel_constraint"), "{error}");
    let layer = built(Dense::new(2).entry(), &x);
    layer.enable_lora(1, None).unwrap();
    assert!(refused(layer, 1).contains("enabled already"));
}

#[test]
fn spectral_normalization_needs_a_kernel() {
    let entry = SpectralNormalization::new(LSTM::new(2)).entry();
    let x = Spec::float(Dims::batch_of(&[3, 4]));
    let options = BuildOptions { device: &Device::Cpu, first: FirstValues::Seed(0) };
    let error = entry.build(&Args::one(x), "", options).unwrap_err().to_string();
    assert!(error.contains("LSTM has no weight `kernel` or `embeddings`"), "{error}");
}

#[test]
fn a_model_in_time_distributed_goes_through_files_and_shares_its_weights() {
    let mut row = Sequential::new()
        .add(Dense::new(3).activation("tanh").input_shape([2]))
        .add(Dense::new(2))
        .into_model();
    row.build(&Dims::batch_of(&[2])).unwrap();
    let x = Input::new([4, 2]);
    let y = TimeDistributed::new(&row).name("rows").apply(&x).unwrap();
    let mut model = Model::new([&x], [&y]).unwrap();
    model.compile("sgd", "mse").unwrap();
    let steps = sample(&[3, 4, 2]);
    let made = model.predict(&steps).unwrap();
    for step in 0..4 {
        let one = steps.narrow(1, step, 1).unwrap().squeeze(1).unwrap();
        let expected = row.predict(&one).unwrap();
        let ours = made.narrow(1, step, 1).unwrap().squeeze(1).unwrap();
        sconce_testkit::assert_close("a step", &ours, &expected, 1e-6);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.keras");
    model.save(&path).unwrap();
    assert_eq!(values(&Model::load(&path).unwrap().predict(&steps).unwrap()), values(&made));
    let text = model.to_json().unwrap();
    assert_eq!(Model::from_json(&text).unwrap().to_json().unwrap(), text);
}
