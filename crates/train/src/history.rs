//! What a run leaves behind: logs in order, and the history of all epochs.

use crate::callbacks::{Goal, Logged};
use crate::exact;
use crate::report::curves;
use indexmap::IndexMap;
use sconce_core::atomic::write_atomic;
use sconce_core::{Json, Result};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;
use std::path::Path;

/// Named values in the order they were reported: loss, metrics, then `val_` ones.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Logs(pub Vec<(String, f64)>);

impl Logs {
    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| *value)
    }

    /// Sets or adds a value.
    pub fn set(&mut self, name: &str, value: f64) {
        match self.0.iter_mut().find(|(n, _)| n == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.to_string(), value)),
        }
    }

    /// The names, in order.
    pub fn names(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| name.as_str()).collect()
    }
}

/// What `evaluate` returns: the loss and the metrics, by name.
pub type Scores = Logs;

impl std::fmt::Display for Logs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts: Vec<String> =
            self.0.iter().map(|(n, v)| format!("{n}: {}", short(*v))).collect();
        write!(f, "{}", parts.join(" - "))
    }
}

/// A value as Keras's progress bar prints it: four decimals, or scientific when tiny.
pub fn short(value: f64) -> String {
    if value != 0.0 && value.abs() < 1e-3 { format!("{value:.4e}") } else { format!("{value:.4}") }
}

/// The values of every epoch, as Keras's `History`. Written to JSON as
/// `{"history": {"loss": [..]}, "epoch": [..]}`; a value that is not finite is `null` there, since JSON
/// has no word for it, and NaN when it is read. Beside those stand, where they are known, `run`, `goals`
/// (`"min"` or `"max"` by name) and `epochs_of` (the
/// epochs that logged each name, unless all logged all).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// For each name, the value of each epoch that logged it.
    #[serde(deserialize_with = "series")]
    pub history: IndexMap<String, Vec<f64>>,
    /// The number of each epoch, from 0.
    pub epoch: Vec<usize>,
    /// What it takes to repeat the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunInfo>,
    /// Which way each name gets better, where that is known.
    #[serde(default, with = "goals", skip_serializing_if = "IndexMap::is_empty")]
    goals: IndexMap<String, Goal>,
    /// For each name, the epochs that logged it.
    #[serde(default, rename = "epochs_of", skip_serializing_if = "of_same_length")]
    logged_at: IndexMap<String, Vec<usize>>,
}

/// What it takes to repeat a run: the same seed, version and device, configuration and data give the
/// same bits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunInfo {
    /// The seed of shuffling and dropout.
    pub seed: u64,
    /// The version of Sconce.
    pub version: String,
    /// The device: `cpu`, `cuda:0`, `metal:0`.
    pub device: String,
    /// A SHA-256 of everything configured that decides the numbers: model, compile state, arguments of
    /// `fit`, callbacks that steer. Of runs with checkpoints, and of the `sconce` command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    /// A SHA-256 of the data trained on, where the source knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// The run configuration with all defaults, of runs of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<Json>,
}

impl History {
    /// An empty one for a run that logs these names.
    pub(crate) fn of(logged: &Logged) -> Self {
        let goals = logged.0.iter().filter_map(|(name, goal)| Some((name.clone(), (*goal)?)));
        Self { goals: goals.collect(), ..Self::default() }
    }

    /// Adds the logs of an epoch.
    pub fn push(&mut self, epoch: usize, logs: &Logs) {
        self.epoch.push(epoch);
        for (name, value) in &logs.0 {
            self.history.entry(name.clone()).or_default().push(*value);
            self.logged_at.entry(name.clone()).or_default().push(epoch);
        }
    }

    /// All values with their epochs, for a checkpoint.
    pub(crate) fn to_state(&self) -> Json {
        let series = self.history.iter().map(|(name, values)| {
            let values: Vec<Json> = values.iter().map(|value| exact::to_json(*value)).collect();
            let epochs = self.logged_at.get(name).cloned().unwrap_or_default();
            json!({"name": name, "epochs": epochs, "values": values})
        });
        json!({"epoch": self.epoch, "series": series.collect::<Vec<_>>()})
    }

    /// Takes back what [`History::to_state`] gave.
    pub(crate) fn restore(&mut self, state: &Json) -> Result<()> {
        let State { epoch, series } = sconce_core::json::parse(state.clone())?;
        self.epoch = epoch;
        for Series { name, epochs, values } in series {
            let values = values.iter().map(exact::from_json).collect::<Result<_>>()?;
            self.history.insert(name.clone(), values);
            self.logged_at.insert(name, epochs);
        }
        Ok(())
    }

    /// The values of a name, an epoch each; empty if it was never logged.
    pub fn get(&self, name: &str) -> Vec<f64> {
        self.history.get(name).cloned().unwrap_or_default()
    }

    /// The best epoch by a name: of a loss or an error the lowest value, of an accuracy the highest.
    /// `None` if it was never logged, has no finite value, or which way is better is not known (a
    /// metric of your own, a history of Keras's): then [`History::lowest`] or [`History::highest`]
    /// say it.
    pub fn best(&self, name: &str) -> Option<AtEpoch> {
        match self.goals.get(name).copied() {
            Some(Goal::Min) => self.lowest(name),
            Some(Goal::Max) => self.highest(name),
            None if name.ends_with("loss") => self.lowest(name),
            None => None,
        }
    }

    /// Draws the curves of all names into an SVG file, training and validation in one picture, with the
    /// best epoch marked.
    ///
    /// ```no_run
    /// # use sconce_train::Model;
    /// # fn train(model: &mut Model, x: &[[f32; 2]], y: &[[f32; 1]]) -> sconce_core::Result<()> {
    /// let history = model.fit(x, y, 20, 32)?;
    /// history.plot("curves.svg")?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// A file that cannot be written; a history without a finite value.
    pub fn plot(&self, path: impl AsRef<Path>) -> Result<()> {
        let svg = curves::figure(&curves::panels(self))?;
        write_atomic(path.as_ref(), |sink| sink.write_all(svg.as_bytes()))
    }

    /// The epoch with the lowest value of a name, the first of equal ones.
    pub fn lowest(&self, name: &str) -> Option<AtEpoch> {
        self.at_epochs(name).min_by(|a, b| a.value.total_cmp(&b.value))
    }

    /// The epoch with the highest value of a name, the first of equal ones.
    pub fn highest(&self, name: &str) -> Option<AtEpoch> {
        self.at_epochs(name).min_by(|a, b| b.value.total_cmp(&a.value))
    }

    /// The finite values of a name with their epochs.
    pub(crate) fn at_epochs(&self, name: &str) -> impl Iterator<Item = AtEpoch> {
        let values = self.history.get(name).map(Vec::as_slice).unwrap_or_default();
        let epochs = match self.logged_at.get(name) {
            Some(epochs) => epochs.as_slice(),
            // A file without `epochs_of`: every epoch logged it, or nobody knows which.
            None if values.len() == self.epoch.len() => self.epoch.as_slice(),
            None => &[],
        };
        let at = |(epoch, value): (&usize, &f64)| AtEpoch { epoch: *epoch, value: *value };
        epochs.iter().zip(values).map(at).filter(|at| at.value.is_finite())
    }

    /// The last value of a name.
    pub fn last(&self, name: &str) -> Option<f64> {
        self.history.get(name)?.last().copied()
    }
}

/// A value of an epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AtEpoch {
    /// The number of the epoch, from 0.
    pub epoch: usize,
    /// The value.
    pub value: f64,
}

/// A history in a checkpoint.
#[derive(Deserialize)]
struct State {
    epoch: Vec<usize>,
    series: Vec<Series>,
}

#[derive(Deserialize)]
struct Series {
    name: String,
    epochs: Vec<usize>,
    values: Vec<Json>,
}

/// Whether all names were logged as often, which is at every epoch.
fn of_same_length(logged_at: &IndexMap<String, Vec<usize>>) -> bool {
    let mut lengths = logged_at.values().map(Vec::len);
    lengths.next().is_none_or(|first| lengths.all(|length| length == first))
}

/// `{"loss": "min", "accuracy": "max"}`
mod goals {
    use crate::callbacks::Goal;
    use indexmap::IndexMap;
    use serde::de::{Error, Unexpected};
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        goals: &IndexMap<String, Goal>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let word = |goal: &Goal| match goal {
            Goal::Min => "min",
            Goal::Max => "max",
        };
        to.collect_map(goals.iter().map(|(name, goal)| (name, word(goal))))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<IndexMap<String, Goal>, D::Error> {
        let words = IndexMap::<String, String>::deserialize(from)?;
        let goal = |(name, word): (String, String)| match word.as_str() {
            "min" => Ok((name, Goal::Min)),
            "max" => Ok((name, Goal::Max)),
            other => Err(D::Error::invalid_value(Unexpected::Str(other), &"`min` or `max`")),
        };
        words.into_iter().map(goal).collect()
    }
}

fn series<'de, D: Deserializer<'de>>(from: D) -> Result<IndexMap<String, Vec<f64>>, D::Error> {
    let read = IndexMap::<String, Vec<Option<f64>>>::deserialize(from)?;
    let values = |values: Vec<Option<f64>>| values.into_iter().map(|v| v.unwrap_or(f64::NAN));
    Ok(read.into_iter().map(|(name, series)| (name, values(series).collect())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_epoch_goes_by_what_is_better() {
        let logged = Logged(
            [("loss", Some(Goal::Min)), ("accuracy", Some(Goal::Max)), ("own", None)]
                .map(|(name, goal)| (name.to_string(), goal))
                .to_vec(),
        );
        let mut history = History::of(&logged.with_validation());
        for (epoch, (loss, accuracy)) in
            [(3.0, 0.25), (f64::NAN, 0.5), (1.0, 0.5), (1.0, 0.25)].into_iter().enumerate()
        {
            let mut logs = vec![("loss".into(), loss), ("accuracy".into(), accuracy)];
            logs.push(("own".into(), loss));
            if epoch % 2 == 1 {
                logs.push(("val_accuracy".into(), epoch as f64));
            }
            history.push(epoch, &Logs(logs));
        }
        let at = |epoch, value| Some(AtEpoch { epoch, value });
        assert_eq!(history.best("loss"), at(2, 1.0));
        assert_eq!(history.best("accuracy"), at(1, 0.5));
        assert_eq!(history.best("val_accuracy"), at(3, 3.0));
        assert_eq!((history.best("own"), history.best("nothing")), (None, None));
        assert_eq!((history.lowest("own"), history.highest("own")), (at(2, 1.0), at(0, 3.0)));
        // A file says which way is better, and which epochs were validated.
        let text = serde_json::to_string(&history).unwrap();
        let read: History = serde_json::from_str(&text).unwrap();
        assert_eq!((read.best("loss"), read.best("val_accuracy")), (at(2, 1.0), at(3, 3.0)));
        assert_eq!((read.best("own"), read.lowest("own")), (None, at(2, 1.0)));
        // Keras's says neither.
        let text = r#"{"history": {"loss": [3, 1], "accuracy": [0, 1], "val_loss": [2]}, "epoch": [0, 1]}"#;
        let read: History = serde_json::from_str(text).unwrap();
        assert_eq!((read.best("loss"), read.best("accuracy")), (at(1, 1.0), None));
        assert_eq!((read.highest("accuracy"), read.lowest("val_loss")), (at(1, 1.0), None));
    }

    #[test]
    fn values_that_are_not_finite_are_kept_and_null_in_json() {
        let mut history = History::default();
        history.push(0, &Logs(vec![("loss".into(), 0.5), ("val_loss".into(), f64::INFINITY)]));
        history.push(1, &Logs(vec![("loss".into(), 0.25), ("val_loss".into(), 1.0)]));
        assert_eq!(history.get("val_loss"), [f64::INFINITY, 1.0]);
        let text = serde_json::to_string(&history).unwrap();
        let expected = r#"{"history":{"loss":[0.5,0.25],"val_loss":[null,1.0]},"epoch":[0,1]}"#;
        assert_eq!(text, expected);
        let read: History = serde_json::from_str(&text).unwrap();
        assert!(read.get("val_loss")[0].is_nan());
        assert_eq!((read.last("val_loss"), read.epoch), (Some(1.0), vec![0, 1]));
    }
}
