//! RemoteMonitor, with a server on this machine.

use super::*;
use serde_json::json;

/// A server on this machine that takes the values of two epochs.
#[test]
fn remote_monitor_posts_what_keras_s_does() {
    for as_json in [false, true] {
        let server = tiny_http::Server::http("127.0.0.1:0").unwrap();
        let root = format!("http://{}", server.server_addr());
        let received = std::thread::spawn(move || {
            let take = |mut request: tiny_http::Request| {
                let mut body = String::new();
                request.as_reader().read_to_string(&mut body).unwrap();
                let header = |name: &'static str| {
                    let found = request.headers().iter().find(|header| header.field.equiv(name));
                    found.map(|header| header.value.to_string()).unwrap_or_default()
                };
                let seen = (request.method().to_string(), request.url().to_string());
                let headers = (header("Content-Type"), header("X-Run"));
                request.respond(tiny_http::Response::empty(503)).unwrap();
                (seen, headers, body)
            };
            (0..2).map(|_| take(server.recv().unwrap())).collect::<Vec<_>>()
        });
        let config = json!({
            "root": root, "headers": {"X-Run": "7"}, "send_as_json": as_json, "field": "values",
        });
        let mut model = model();
        let monitor = CallbackPart::new("RemoteMonitor", config).unwrap().get().unwrap().start();
        let x = Tensor::ones((4, 1), sconce_core::DType::F32, &sconce_core::Device::Cpu).unwrap();
        let fit = Fit::new(2, 4).verbose(Verbose::Silent).callbacks([monitor]);
        // That the server refuses is no reason to end the run.
        let history = model.fit_with(&x, &x, fit).unwrap();
        for (epoch, (seen, headers, body)) in received.join().unwrap().into_iter().enumerate() {
            assert_eq!(seen, ("POST".into(), "/publish/epoch/end/".into()));
            assert_eq!(headers.1, "7");
            let values = match as_json {
                true => {
                    assert_eq!(headers.0, "application/json");
                    body
                }
                false => {
                    assert_eq!(headers.0, "application/x-www-form-urlencoded");
                    let form = body.strip_prefix("values=").unwrap_or_else(|| panic!("{body}"));
                    let decoded =
                        [("%7B", "{"), ("%7D", "}"), ("%22", "\""), ("%3A", ":"), ("%2C", ",")];
                    decoded.iter().fold(form.to_string(), |text, (code, c)| text.replace(code, c))
                }
            };
            let values: Json = serde_json::from_str(&values).unwrap();
            assert_eq!(values, json!({"epoch": epoch, "loss": history.get("loss")[epoch]}));
        }
    }
}

#[test]
fn a_server_that_is_not_there_ends_no_run_and_https_is_refused() {
    let mut model = model();
    let x = Tensor::ones((4, 1), sconce_core::DType::F32, &sconce_core::Device::Cpu).unwrap();
    let fit = |root: &str| {
        Fit::new(2, 4).verbose(Verbose::Silent).callback(RemoteMonitor::new().root(root))
    };
    assert_eq!(model.fit_with(&x, &x, fit("http://127.0.0.1:1")).unwrap().epoch, [0, 1]);
    let error = model.fit_with(&x, &x, fit("https://example.org")).unwrap_err().to_string();
    assert!(error.contains("`callbacks[0].config.root`: must begin with http://"), "{error}");
    for (callback, expected) in [
        (
            RemoteMonitor::new().root("http://"),
            "config.root`: `http:///publish/epoch/end/` is no address",
        ),
        (RemoteMonitor::new().root("http://[::"), "is no address"),
        (
            RemoteMonitor::new()
                .headers(std::collections::BTreeMap::from([("a\nb".into(), "c".into())])),
            "config.headers`: \"a\\nb\": \"c\" is no header of HTTP",
        ),
    ] {
        let fit = Fit::new(1, 4).verbose(Verbose::Silent).callback(callback);
        let error = model.fit_with(&x, &x, fit).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
