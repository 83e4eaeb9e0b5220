//! The examples that no other test uses, run.

#[path = "../../examples/callbacks.rs"]
mod callbacks;
#[path = "../../examples/custom_block.rs"]
mod custom_block;
#[path = "../../examples/custom_objects.rs"]
mod custom_objects;
#[path = "../../examples/custom_step.rs"]
mod custom_step;
#[path = "../../examples/date_translation.rs"]
mod date_translation;
#[path = "../../examples/forecasting.rs"]
mod forecasting;
#[path = "../../examples/functional.rs"]
mod functional;
#[path = "../../examples/image_classification.rs"]
mod image_classification;
#[path = "../../examples/masking_and_padding.rs"]
mod masking_and_padding;
#[path = "../../examples/saving.rs"]
mod saving;
#[path = "../../examples/sequence_generation.rs"]
mod sequence_generation;
#[path = "../../examples/serving.rs"]
mod serving;
#[path = "../../examples/text_classification.rs"]
mod text_classification;
#[path = "../../examples/transfer_learning.rs"]
mod transfer_learning;

use sconce::prelude::*;

#[test]
fn objects_of_one_s_own_go_through_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("custom.keras");
    let (before, after) = custom_objects::save_and_load(&path).unwrap();
    assert_eq!(before, after);
    assert_eq!(before.names(), ["loss", "near", "mae"]);
    assert!(before.get("near").unwrap() > 0.5, "{before}");
    let error = Model::load(&path).unwrap_err().to_string();
    for name in ["example>ScaledTanh", "example>PowerError", "example>Near"] {
        assert!(error.contains(name), "{name} is not in: {error}");
    }
    assert!(error.contains("register it under this name in `CustomObjects`"), "{error}");
}

#[test]
fn a_callback_of_one_s_own_stops_a_run() {
    let (history, good) = callbacks::train().unwrap();
    let losses = history.get("val_loss");
    assert!(losses.len() < 200, "{losses:?}");
    let (first, last) = losses.split_at(losses.len() - 3);
    assert!(last.iter().all(|loss| *loss < 0.01), "{losses:?}");
    assert!(first.windows(3).all(|w| w.iter().any(|loss| *loss >= 0.01)), "{losses:?}");
    // 320 rows in batches of 32.
    assert_eq!(good.lock().unwrap().batches, 10 * losses.len());
}

#[test]
fn every_way_to_save_gives_the_same_predictions() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(saving::save_and_load(folder.path()).unwrap(), [true; 4]);
}

#[test]
fn layers_of_layers_and_cells_of_one_s_own_train_and_go_through_files() {
    let folder = tempfile::tempdir().unwrap();
    let (before, after) = custom_block::train(&folder.path().join("block.keras")).unwrap();
    assert_eq!(before, after);
    assert!(before.get("accuracy").unwrap() > 0.9, "{before}");
}

#[test]
fn padding_changes_no_prediction() {
    let (model, scores) = masking_and_padding::train().unwrap();
    assert!(scores.get("accuracy").unwrap() > 0.9, "{scores}");
    let predicted = |steps| -> f32 {
        let x = masking_and_padding::padded(&[vec![9, 2, 8]], steps).unwrap();
        model.predict(&x).unwrap().to_vec2::<f32>().unwrap()[0][0]
    };
    for steps in [9, 30] {
        assert!((predicted(steps) - predicted(3)).abs() < 1e-6);
    }
    // Without the mask 27 steps of padding would count.
    assert!(predicted(30) > 0.5);
}

#[test]
fn a_stateful_lstm_continues_a_text_character_by_character() {
    let text = sequence_generation::generate("the boat", 39).unwrap();
    assert_eq!(text, "the boat is small. the sea is wide and the boat");
}

#[test]
fn texts_are_classified() {
    let (model, vocabulary, scores) = text_classification::train().unwrap();
    assert!(scores.get("accuracy").unwrap() > 0.95, "{scores}");
    let texts = ["the plot was not bad", "the music is lovely but the ending was never funny"];
    let praise =
        text_classification::praise(&model, &vocabulary, &texts.map(str::to_string)).unwrap();
    assert!(praise[0] > 0.5 && praise[1] < 0.5, "{praise:?}");
}

#[test]
fn a_series_is_forecast_better_than_by_the_day_before() {
    let errors = forecasting::train().unwrap();
    assert!(errors.network < 0.6 * f64::from(errors.day_before), "{errors:?}");
}

#[test]
fn dates_are_translated() {
    let (model, right) = date_translation::train(3000, 8).unwrap();
    assert!(right > 0.8, "{right}");
    let made = date_translation::translate(&model, &["17 july 1998".to_string()]).unwrap();
    assert_eq!(made, ["1998-07-17"]);
}

#[test]
fn a_training_step_of_one_s_own_runs_inside_fit() {
    let (history, distance) = custom_step::train().unwrap();
    assert_eq!(history.get("d_loss").len(), 30);
    assert_eq!(history.history.keys().collect::<Vec<_>>(), ["d_loss", "g_loss"]);
    assert!(history.get("g_loss").iter().all(|loss| loss.is_finite()));
    // Points of a circle of radius 1; an untrained generator stays near the centre.
    assert!((0.5..1.5).contains(&distance), "{distance}");
}

#[test]
fn a_functional_model_trains_both_outputs_and_its_features_are_used_again() {
    let values = |model: &Model| -> Vec<Vec<f32>> {
        let flat = |w: &Tensor| w.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        model.network().unwrap().get_weights().unwrap().iter().map(flat).collect()
    };
    let (model, history) = functional::train().unwrap();
    let names: Vec<&String> = history.history.keys().take(4).collect();
    assert_eq!(names, ["loss", "class_loss", "distance_loss", "class_accuracy"]);
    assert!(history.last("val_class_accuracy").unwrap() > 0.9);
    let distance = history.get("distance_loss");
    assert!(distance.last().unwrap() < &(0.5 * distance[0]), "{distance:?}");

    let before = values(&model);
    let (transferred, history) = functional::transfer(&model).unwrap();
    assert_eq!(values(&model), before, "the frozen features stay as they are");
    // The encoder and the features are those of the first model; a kernel and a bias are new.
    assert_eq!(values(&transferred)[..4], before[..4]);
    assert_eq!(values(&transferred).len(), 6);
    assert!(history.last("accuracy").unwrap() > history.get("accuracy")[0]);
}

/// Many clients at once get what the model predicts, each its own rows; a bad request harms no other.
#[test]
fn predictions_are_served_in_batches() {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::sync::Arc;
    use std::time::Duration;
    let mut model = Sequential::new().add(Dense::new(3).input_shape([4])).into_model();
    model.build(&Dims::batch_of(&[4])).unwrap();
    let model = Arc::new(model);
    let server = tiny_http::Server::http("127.0.0.1:0").unwrap();
    let address = server.server_addr().to_ip().unwrap();
    let post = |body: &str| -> (bool, String) {
        let mut stream = TcpStream::connect(address).unwrap();
        let head = "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
        write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.starts_with("HTTP/1.1 200"), body.to_string())
    };
    let batching = serving::Batching { rows: 8, wait: Duration::from_millis(20) };
    std::thread::scope(|scope| {
        let served = scope.spawn(|| serving::serve(&model, &server, 4, batching));
        let clients: Vec<_> = (0..8)
            .map(|client| {
                let (post, model) = (&post, &model);
                scope.spawn(move || {
                    for request in 0..5 {
                        let row = vec![client as f32, request as f32, 0.5, -1.0];
                        let rows = vec![row; 1 + client % 3];
                        let (ok, body) = post(&serde_json::to_string(&rows).unwrap());
                        assert!(ok, "{body}");
                        let made: Vec<Vec<f32>> = serde_json::from_str(&body).unwrap();
                        let expected = model.predict(&rows).unwrap().to_vec2::<f32>().unwrap();
                        assert_eq!(made, expected);
                        assert!(!post("[[1, 2]]").0 && !post("nonsense").0);
                    }
                })
            })
            .collect();
        clients.into_iter().for_each(|client| client.join().unwrap());
        server.unblock();
        served.join().unwrap();
    });
}

#[test]
fn images_are_classified() {
    let (model, scores) = image_classification::train().unwrap();
    assert!(scores.get("accuracy").unwrap() > 0.95, "{scores}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("digits.keras");
    model.save(&path).unwrap();
    let image = Tensor::zeros((1, 8, 8, 1), DType::F32, &Device::Cpu).unwrap();
    let predicted = |model: &Model| model.predict(&image).unwrap().to_vec2::<f32>().unwrap();
    assert_eq!(predicted(&model), predicted(&Model::load(&path).unwrap()));
}

#[test]
fn a_trained_model_is_a_start_for_other_classes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("base.keras");
    transfer_learning::train_base(&path).unwrap();
    let accuracies = transfer_learning::transfer(&path).unwrap();
    // A guess is right once in five times.
    assert!(accuracies.frozen > 0.6, "{accuracies:?}");
    assert!(accuracies.fine_tuned > accuracies.frozen.max(0.9), "{accuracies:?}");
}
