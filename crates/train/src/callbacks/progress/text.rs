//! The words of a progress display, for a width.

use crate::history::{Logs, short};
use console::measure_text_width as width_of;
use std::time::Duration;

/// Columns of the bar where there is room, as in Keras, and where there is little.
const BAR: (usize, usize) = (20, 10);

/// What is known of an epoch.
#[derive(Clone, Debug, Default)]
pub(super) struct Epoch {
    /// Its number, from 1.
    pub number: usize,
    pub epochs: usize,
    /// Steps of the epoch; `None` for a source that does not know.
    pub steps: Option<usize>,
    /// Steps done.
    pub done: usize,
    /// Steps done when the bar was drawn last.
    pub drawn_at: usize,
    pub elapsed: Duration,
    /// Time of one step.
    pub a_step: Duration,
    pub logs: Logs,
}

/// One drawing: the line before the bar, the bar's columns (done and all), the line after it, and
/// what did not fit.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Drawing {
    pub before: String,
    pub bar: (usize, usize),
    pub after: String,
    pub rest: Vec<String>,
}

impl Epoch {
    /// "Epoch 1/10".
    pub fn title(&self) -> String {
        format!("Epoch {}/{}", self.number, self.epochs)
    }

    /// All of an epoch on one line, for files.
    pub fn line(&self) -> String {
        let parts: Vec<String> = std::iter::once(self.title())
            .chain([seconds(self.elapsed), self.rate()])
            .chain(self.values())
            .collect();
        parts.join(" - ")
    }

    /// The bar and what is around it, no line wider than `width`. Values that do not fit go to
    /// further lines.
    pub fn drawing(&self, width: usize) -> Drawing {
        // Keras's word for a number of steps that is not known yet.
        let all = self.steps.map_or("Unknown".to_string(), |steps| steps.to_string());
        let digits = if self.steps.is_some() { all.len() } else { self.done.to_string().len() };
        let before = format!("{:>digits$}/{all} ", self.done);
        let left = self.steps.map(|steps| steps.saturating_sub(self.done));
        let time = match left {
            None | Some(0) => seconds(self.elapsed),
            Some(left) => {
                clock(self.a_step.saturating_mul(u32::try_from(left).unwrap_or(u32::MAX)))
            }
        };
        let mut after = format!(" {time} {}", self.rate());
        let values: Vec<String> = self.values().collect();
        let all: usize = values.iter().map(|v| width_of(v) + 3).sum();
        let fixed = width_of(&before) + width_of(&after);
        let columns = if fixed + BAR.0 + all <= width { BAR.0 } else { BAR.1 };
        let columns = columns.min(width.saturating_sub(fixed));
        let done = match self.steps {
            Some(steps) => (columns * self.done).checked_div(steps).unwrap_or(columns),
            None => 0,
        };
        let mut rest: Vec<String> = Vec::new();
        for value in values {
            let room = match rest.last() {
                None => width.saturating_sub(width_of(&before) + columns),
                Some(_) => width,
            };
            let line = rest.last_mut().unwrap_or(&mut after);
            if width_of(line) + 3 + width_of(&value) <= room {
                line.push_str(&format!(" - {value}"));
            } else {
                rest.push(format!("{:indent$}- {value}", "", indent = digits + 1));
            }
        }
        Drawing { before, bar: (done, columns), after, rest }
    }

    fn values(&self) -> impl Iterator<Item = String> {
        self.logs.0.iter().map(|(name, value)| format!("{name}: {}", short(*value)))
    }

    /// "2ms/step".
    fn rate(&self) -> String {
        let step = self.a_step.as_secs_f64();
        match step {
            1.0.. => format!("{step:.0}s/step"),
            1e-3.. => format!("{:.0}ms/step", step * 1e3),
            _ => format!("{:.0}us/step", step * 1e6),
        }
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.0}s", time.as_secs_f64())
}

/// "5s", "2:05", "1:02:05".
fn clock(time: Duration) -> String {
    let s = time.as_secs();
    match s {
        3601.. => format!("{}:{:02}:{:02}", s / 3600, s % 3600 / 60, s % 60),
        61.. => format!("{}:{:02}", s / 60, s % 60),
        _ => format!("{s}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(done: usize) -> Epoch {
        let logs =
            [("loss", 0.1), ("accuracy", 0.97), ("val_loss", 0.00012), ("val_accuracy", 0.95)];
        Epoch {
            number: 1,
            epochs: 10,
            steps: Some(45),
            done,
            elapsed: Duration::from_millis(1200),
            a_step: Duration::from_millis(2),
            logs: Logs(logs.map(|(n, v)| (n.to_string(), v)).to_vec()),
            ..Epoch::default()
        }
    }

    #[test]
    fn wide_terminals_get_one_line() {
        let Drawing { before, bar, after, rest } = epoch(45).drawing(200);
        assert_eq!((before.as_str(), bar), ("45/45 ", (20, 20)));
        assert_eq!(
            after,
            " 1s 2ms/step - loss: 0.1000 - accuracy: 0.9700 - val_loss: 1.2000e-4 - val_accuracy: 0.9500"
        );
        assert!(rest.is_empty());
        let drawing = epoch(9).drawing(200);
        assert_eq!((drawing.before.as_str(), drawing.bar), (" 9/45 ", (4, 20)));
        assert!(drawing.after.starts_with(" 0s 2ms/step"), "{}", drawing.after);
    }

    #[test]
    fn narrow_terminals_get_lines_that_fit() {
        for width in 30..130 {
            let Drawing { before, bar, after, rest } = epoch(45).drawing(width);
            let first = width_of(&before) + bar.1 + width_of(&after);
            let lines: Vec<usize> =
                std::iter::once(first).chain(rest.iter().map(|l| width_of(l))).collect();
            assert!(lines.iter().all(|l| *l <= width), "{width}: {lines:?}");
            let text = format!("{after}{}", rest.concat());
            for value in epoch(45).values() {
                assert!(text.contains(&value), "{width}: {text}");
            }
        }
        let Drawing { bar, after, rest, .. } = epoch(45).drawing(60);
        assert_eq!((bar, after.as_str()), ((10, 10), " 1s 2ms/step - loss: 0.1000"));
        assert_eq!(
            rest,
            ["   - accuracy: 0.9700 - val_loss: 1.2000e-4", "   - val_accuracy: 0.9500"]
        );
    }

    #[test]
    fn times_are_short() {
        let clocks = [(5, "5s"), (60, "60s"), (125, "2:05"), (3725, "1:02:05")];
        clocks.iter().for_each(|(s, text)| assert_eq!(clock(Duration::from_secs(*s)), *text));
        let rate = |ns| Epoch { a_step: Duration::from_nanos(ns), ..Epoch::default() }.rate();
        assert_eq!(rate(15_400), "15us/step");
        assert_eq!(rate(2_000_000), "2ms/step");
        assert_eq!(rate(3_000_000_000), "3s/step");
    }

    #[test]
    fn a_file_gets_one_line() {
        assert_eq!(
            epoch(45).line(),
            "Epoch 1/10 - 1s - 2ms/step - loss: 0.1000 - accuracy: 0.9700 - val_loss: 1.2000e-4 - \
             val_accuracy: 0.9500"
        );
    }
}
