//! Monitoring one logged value: is it there, which way is better, is it better now.

use crate::metrics::Goal;
use sconce_core::registry::nearest;
use sconce_core::{ConfigValue, Error, Result};

/// Keras's argument `mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ConfigValue)]
pub enum Mode {
    /// By the monitored value: losses and errors go down, accuracies and scores up.
    #[default]
    Auto,
    /// Lower is better.
    Min,
    /// Higher is better.
    Max,
}

/// The names that a run logs, in order, and which way each gets better, where that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Logged(pub Vec<(String, Option<Goal>)>);

impl Logged {
    /// Adds the `val_` form of every name.
    pub(crate) fn with_validation(mut self) -> Self {
        let validated: Vec<_> =
            self.0.iter().map(|(name, goal)| (format!("val_{name}"), *goal)).collect();
        self.0.extend(validated);
        self
    }

    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// Refuses a name that is not logged; the error lists those that are.
    pub fn check(&self, key: &str, name: &str) -> Result<()> {
        if self.names().any(|n| n == name) {
            return Ok(());
        }
        let known: Vec<&str> = self.names().collect();
        let hint = nearest(name, &known).map(|n| format!(" Did you mean `{n}`?"));
        let validation = match name.starts_with("val_")
            && !known.iter().any(|n| n.starts_with("val_"))
        {
            true => " There is no validation data: give `validation_data` or `validation_split`.",
            false => "",
        };
        Err(Error::config(
            key,
            format!(
                "`{name}` is not logged.{} Logged: {}.{validation}",
                hint.unwrap_or_default(),
                known.join(", ")
            ),
        ))
    }

    /// The goal of a monitored name.
    ///
    /// # Errors
    /// A name that is not logged; `auto` for one whose goal is not known.
    pub(crate) fn goal(&self, monitor: &str, mode: Mode) -> Result<Goal> {
        self.check("monitor", monitor)?;
        match mode {
            Mode::Min => Ok(Goal::Min),
            Mode::Max => Ok(Goal::Max),
            Mode::Auto => {
                let found = self.0.iter().find(|(n, _)| n == monitor).and_then(|(_, goal)| *goal);
                found.ok_or_else(|| {
                    Error::config(
                        "mode",
                        format!(
                            "whether `{monitor}` should go up or down is not known; set mode to \
                             \"max\" or \"min\""
                        ),
                    )
                })
            }
        }
    }
}

/// Whether `value` is better than `reference` by more than `min_delta`; anything is better than
/// nothing, and NaN is better than nothing else.
pub(crate) fn improved(goal: Goal, min_delta: f64, value: f64, reference: Option<f64>) -> bool {
    let Some(reference) = reference else { return true };
    match goal {
        Goal::Min => value + min_delta.abs() < reference,
        Goal::Max => value - min_delta.abs() > reference,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logged() -> Logged {
        Logged(vec![
            ("loss".into(), Some(Goal::Min)),
            ("accuracy".into(), Some(Goal::Max)),
            ("mine".into(), None),
        ])
    }

    #[test]
    fn auto_follows_the_metric() {
        let logged = logged().with_validation();
        for (name, goal) in
            [("loss", Goal::Min), ("val_loss", Goal::Min), ("val_accuracy", Goal::Max)]
        {
            assert_eq!(logged.goal(name, Mode::Auto).unwrap(), goal, "{name}");
        }
        assert_eq!(logged.goal("loss", Mode::Max).unwrap(), Goal::Max);
        let error = logged.goal("val_mine", Mode::Auto).unwrap_err().to_string();
        assert!(
            error.contains("at `mode`") && error.contains("`val_mine` should go up"),
            "{error}"
        );
    }

    #[test]
    fn what_is_not_logged_is_refused_with_the_nearest_name() {
        let error = logged().with_validation().check("monitor", "val_acuracy").unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("`val_acuracy` is not logged. Did you mean `val_accuracy`?"),
            "{error}"
        );
        assert!(error.contains("loss, accuracy, mine, val_loss"), "{error}");
        let error = logged().check("monitor", "val_loss").unwrap_err().to_string();
        assert!(error.contains("give `validation_data` or `validation_split`"), "{error}");
    }

    #[test]
    fn nan_never_improves() {
        assert!(improved(Goal::Min, 0.0, f64::NAN, None));
        assert!(!improved(Goal::Min, 0.0, f64::NAN, Some(1.0)));
        assert!(!improved(Goal::Max, 0.1, 1.05, Some(1.0)));
        assert!(improved(Goal::Min, -0.1, 0.8, Some(1.0)));
    }
}
