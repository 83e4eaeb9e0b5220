//! Sends the values of each epoch to a server.

use super::{Callback, CallbackConfig, Event, Flow, Run, Verbose, warn};
use crate::history::Logs;
use sconce_core::{Config, Error, Json, Result};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;
use ureq::Agent;
use ureq::http::{HeaderName, HeaderValue, Uri};

/// How long a server may take to answer, since training waits for it.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Sends the values of each epoch to a server (Keras's `RemoteMonitor`): an HTTP POST to `root` + `path` of
/// `{"epoch": 0, "loss": 0.5}`, as the field `field` of a form, or as the body.
///
/// Training waits for the answer, ten seconds at most. A server that cannot be reached is told of once and
/// ends no run. Only `http` is spoken: for a server that wants `https`, send to a proxy on this machine. A
/// value that is not finite is `null`.
#[derive(Clone, Debug, Config)]
pub struct RemoteMonitor {
    /// The server: `http://` and its name.
    #[config(default = "http://localhost:9000")]
    pub root: String,
    /// What is appended to `root`.
    #[config(default = "/publish/epoch/end/")]
    pub path: String,
    /// The field of the form.
    #[config(default = "data")]
    pub field: String,
    /// Headers to send besides.
    pub headers: Option<BTreeMap<String, String>>,
    /// Whether the values are the body (`application/json`) instead of a field of a form.
    #[config(default = false)]
    pub send_as_json: bool,
    #[config(skip)]
    told: bool,
}

impl RemoteMonitor {
    /// Refuses a server that does not speak HTTP, and what is no address or header.
    fn check_request(&self) -> Result<()> {
        if !self.root.starts_with("http://") {
            let message = format!(
                "must begin with http://, got `{}`; https is not spoken: send to a proxy on this machine",
                self.root
            );
            return Err(Error::config("root", message));
        }
        let address = format!("{}{}", self.root, self.path);
        if let Err(error) = Uri::try_from(&address) {
            return Err(Error::config("root", format!("`{address}` is no address: {error}")));
        }
        for (name, value) in self.headers.iter().flatten() {
            if HeaderName::try_from(name).is_err() || HeaderValue::try_from(value).is_err() {
                let message = format!("{name:?}: {value:?} is no header of HTTP");
                return Err(Error::config("headers", message));
            }
        }
        Ok(())
    }

    fn send(&self, epoch: usize, logs: &Logs) -> std::result::Result<(), ureq::Error> {
        let mut values = json!({"epoch": epoch});
        for (name, value) in &logs.0 {
            values[name.as_str()] = Json::from(*value);
        }
        // As in Keras an answer that refuses is an answer.
        let config = Agent::config_builder().timeout_global(Some(TIMEOUT));
        let agent = config.http_status_as_error(false).build().new_agent();
        let mut request = agent.post(format!("{}{}", self.root, self.path));
        for (name, value) in self.headers.iter().flatten() {
            request = request.header(name, value);
        }
        match self.send_as_json {
            true => request.content_type("application/json").send(values.to_string()),
            false => request.send_form([(self.field.as_str(), values.to_string().as_str())]),
        }
        .map(drop)
    }
}

impl CallbackConfig for RemoteMonitor {
    fn start(&self) -> Box<dyn Callback> {
        Box::new(self.clone())
    }
}

impl Callback for RemoteMonitor {
    fn name(&self) -> &'static str {
        "RemoteMonitor"
    }

    fn prepare(&mut self, _: &Run<'_>) -> Result<()> {
        self.told = false;
        self.check_request()
    }

    fn on(&mut self, event: &Event, _: &mut Run<'_>) -> Result<Flow> {
        if let Event::EpochEnd { epoch, logs } = event
            && let Err(error) = self.send(*epoch, logs)
            && !std::mem::replace(&mut self.told, true)
        {
            let line = format!("RemoteMonitor could not reach {}{}: {error}", self.root, self.path);
            warn(&line, Verbose::Auto);
        }
        Ok(Flow::Continue)
    }
}
