//! How do I serve predictions over HTTP? With one `Arc<Model>`, and a thread that collects requests for a
//! moment and predicts them in one batch.
//!
//!     cargo run --release --example serving
//!     curl -d '[[5.1, 3.5, 1.4, 0.2]]' http://127.0.0.1:8080

use sconce::prelude::*;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};
use tiny_http::{Response, Server};

/// Rows to predict, and where the answer goes.
struct Request {
    rows: Vec<Vec<f32>>,
    reply: Sender<Result<Vec<Vec<f32>>>>,
}

/// How requests are collected.
#[derive(Clone, Copy, Debug)]
pub struct Batching {
    /// The most rows in a batch.
    pub rows: usize,
    /// How long the first request of a batch waits for others.
    pub wait: Duration,
}

/// Answers requests until every sender of them is gone.
fn predict_in_batches(model: &Model, requests: &Receiver<Request>, batching: Batching) {
    while let Ok(first) = requests.recv() {
        let until = Instant::now() + batching.wait;
        let mut batch = vec![first];
        let count = |batch: &[Request]| batch.iter().map(|r| r.rows.len()).sum::<usize>();
        while count(&batch) < batching.rows {
            match requests.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(request) => batch.push(request),
                Err(_) => break,
            }
        }
        let rows: Vec<Vec<f32>> = batch.iter().flat_map(|r| r.rows.iter().cloned()).collect();
        match predict(model, &rows) {
            Ok(made) => {
                let mut made = made.into_iter();
                for request in batch {
                    let own = made.by_ref().take(request.rows.len()).collect();
                    // Who hung up meanwhile needs no answer.
                    let _ = request.reply.send(Ok(own));
                }
            }
            // One bad request must not fail the others.
            Err(_) => batch.into_iter().for_each(|request| {
                let _ = request.reply.send(predict(model, &request.rows));
            }),
        }
    }
}

fn predict(model: &Model, rows: &Vec<Vec<f32>>) -> Result<Vec<Vec<f32>>> {
    Ok(model.predict_on_batch(rows)?.to_vec2()?)
}

/// Serves a model with so many threads that read and write, and one that predicts; returns when the
/// server is unblocked.
pub fn serve(model: &Arc<Model>, server: &Server, threads: usize, batching: Batching) {
    std::thread::scope(|scope| {
        let (sender, requests) = channel();
        scope.spawn(move || predict_in_batches(model, &requests, batching));
        for _ in 0..threads {
            let sender = sender.clone();
            scope.spawn(move || {
                while let Ok(mut http) = server.recv() {
                    let mut body = String::new();
                    let _ = http.as_reader().read_to_string(&mut body);
                    let (code, text) = answer(&body, &sender);
                    let _ = http.respond(Response::from_string(text).with_status_code(code));
                }
                // The next thread stops, too.
                server.unblock();
            });
        }
    });
}

fn answer(body: &str, requests: &Sender<Request>) -> (u16, String) {
    let rows: Vec<Vec<f32>> = match serde_json::from_str(body) {
        Ok(rows) => rows,
        Err(error) => return (400, format!("expected a list of rows: {error}")),
    };
    let (reply, made) = channel();
    if requests.send(Request { rows, reply }).is_err() {
        return (503, "the server is stopping".into());
    }
    match made.recv() {
        Ok(Ok(made)) => (200, serde_json::to_string(&made).unwrap_or_default()),
        Ok(Err(error)) => (400, error.to_string()),
        Err(_) => (503, "the server is stopping".into()),
    }
}

#[allow(dead_code)] // A test includes this file as a module.
fn main() -> std::result::Result<(), Box<dyn std::error::Error + Send + Sync>> {
    // A model that `sconce train configs/iris.json` wrote, or a new one of the same shape.
    let options = LoadOptions::new().compile(false);
    let model = Model::load_with("runs/iris/model.keras", options).or_else(|_| {
        let stack = Sequential::new().add(Dense::new(3).activation("softmax").input_shape([4]));
        let mut model = stack.into_model();
        model.build(&Dims::batch_of(&[4])).map(|()| model)
    })?;
    let server = Server::http("127.0.0.1:8080")?;
    println!("http://{}", server.server_addr());
    let batching = Batching { rows: 32, wait: Duration::from_millis(2) };
    serve(&Arc::new(model), &server, 8, batching);
    Ok(())
}
