//! Several runs beside each other.

use super::curves::{self, Line, Panel};
use super::{SavedRun, page};
use crate::history::short;
use sconce_core::json::shown;
use sconce_core::{Error, Json, Result};
use std::fmt;

/// Runs to compare: what differs in their configurations, their last and best values, their curves.
pub struct Comparison {
    runs: Vec<SavedRun>,
}

/// What is different, or what was reached, with a text for each run.
type Row = (String, Vec<String>);

impl Comparison {
    /// Of two or more runs.
    ///
    /// # Errors
    /// Fewer than two runs.
    pub fn new(runs: Vec<SavedRun>) -> Result<Self> {
        match runs.len() {
            0 | 1 => Err(Error::config("", "two or more runs are needed to compare")),
            _ => Ok(Self { runs }),
        }
    }

    /// What the runs are called; those of one name are numbered.
    pub fn names(&self) -> Vec<String> {
        let named = self.runs.iter().enumerate().map(|(index, run)| {
            let same = |other: &&SavedRun| other.name == run.name;
            match self.runs.iter().filter(same).count() {
                1 => run.name.clone(),
                _ => format!("{} ({})", run.name, index + 1),
            }
        });
        named.collect()
    }

    /// The keys of the configurations that differ, each with the value in every run; `–` where a run has
    /// none. Where a run writes its files is no difference.
    pub fn differences(&self) -> Vec<Row> {
        let documents = self.runs.iter().map(|run| run.configuration().map(Some));
        let mut rows = Vec::new();
        if let Some(documents) = documents.collect::<Option<Vec<_>>>() {
            differing("", &documents, &mut rows);
        }
        rows.retain(|(key, _)| !NO_CONDITIONS.iter().any(|part| key.starts_with(part)));
        rows
    }

    /// Why there are no differences.
    pub(super) fn no_difference(&self) -> &'static str {
        match self.runs.iter().all(|run| run.configuration().is_some()) {
            true => "The configurations are the same.",
            false => "Not every history holds the configuration of its run.",
        }
    }

    /// The last and the best value of every name.
    pub fn scores(&self) -> Vec<Row> {
        let mut names: Vec<&String> = Vec::new();
        for name in self.runs.iter().flat_map(|run| run.history.history.keys()) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let mut rows = vec![(
            "epochs".to_string(),
            self.each(|run| Some(run.history.epoch.len().to_string())),
        )];
        for name in names {
            rows.push((name.clone(), self.each(|run| run.history.last(name).map(short))));
            let best = self.each(|run| {
                let best = run.history.best(name)?;
                Some(format!("{} (epoch {})", short(best.value), best.epoch + 1))
            });
            if best.iter().any(|text| text != MISSING) {
                rows.push((format!("best {name}"), best));
            }
        }
        rows
    }

    fn each(&self, text: impl Fn(&SavedRun) -> Option<String>) -> Vec<String> {
        self.runs.iter().map(|run| text(run).unwrap_or_else(|| MISSING.to_string())).collect()
    }

    /// A panel for each name, with a curve for each run.
    fn panels(&self) -> Vec<Panel> {
        let mut panels: Vec<Panel> = Vec::new();
        for (run, label) in self.runs.iter().zip(self.names()) {
            for name in run.history.history.keys() {
                let line = Line::of(&run.history, name, &label);
                if line.points.is_empty() {
                    continue;
                }
                match panels.iter_mut().find(|panel| panel.title == *name) {
                    Some(panel) => panel.lines.push(line),
                    None => panels.push(Panel { title: name.clone(), lines: vec![line] }),
                }
            }
        }
        panels
    }

    /// The comparison as one page of HTML that needs nothing else.
    ///
    /// # Errors
    /// If the curves cannot be drawn.
    pub fn page(&self) -> Result<String> {
        page::comparison(self, &self.panels())
    }

    /// The curves as one picture (SVG).
    ///
    /// # Errors
    /// If there is nothing to draw.
    pub fn svg(&self) -> Result<String> {
        curves::figure(&self.panels())
    }
}

/// Parts of configurations that say where files are.
const NO_CONDITIONS: [&str; 3] = ["$schema", "output", "checkpoint"];
/// What stands where a run has no value.
const MISSING: &str = "–";

/// The comparison as tables of text.
impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heading = (String::new(), self.names());
        let differences = self.differences();
        let rows: Vec<&Row> = std::iter::once(&heading).chain(&differences).collect();
        match differences.is_empty() {
            true => writeln!(f, "{}", self.no_difference())?,
            false => table(f, &rows)?,
        }
        writeln!(f)?;
        let scores = self.scores();
        table(f, &std::iter::once(&heading).chain(&scores).collect::<Vec<_>>())
    }
}

fn table(f: &mut fmt::Formatter<'_>, rows: &[&Row]) -> fmt::Result {
    let cells: Vec<Vec<&str>> = rows
        .iter()
        .map(|(name, values)| std::iter::once(name).chain(values).map(String::as_str).collect())
        .collect();
    let columns = cells.first().map_or(0, Vec::len);
    let widest = |column: usize| {
        cells.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| widest(column).unwrap_or(0)).collect();
    for row in cells {
        let padded = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        writeln!(f, "{}", padded.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

/// Collects where documents differ.
fn differing(path: &str, values: &[Option<&Json>], rows: &mut Vec<Row>) {
    if values.windows(2).all(|pair| pair[0] == pair[1]) {
        return;
    }
    let at = |key: &str| match path {
        "" => key.to_string(),
        path => format!("{path}.{key}"),
    };
    let objects: Option<Vec<_>> =
        values.iter().map(|value| value.and_then(Json::as_object)).collect();
    if let Some(objects) = objects {
        let mut keys: Vec<&String> = Vec::new();
        for key in objects.iter().flat_map(|object| object.keys()) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        for key in keys {
            let of_key: Vec<Option<&Json>> = objects.iter().map(|object| object.get(key)).collect();
            differing(&at(key), &of_key, rows);
        }
        return;
    }
    let lists: Option<Vec<_>> = values.iter().map(|value| value.and_then(Json::as_array)).collect();
    if let Some(lists) = lists {
        let longest = lists.iter().map(|list| list.len()).max().unwrap_or(0);
        for index in 0..longest {
            let of_index: Vec<Option<&Json>> = lists.iter().map(|list| list.get(index)).collect();
            differing(&format!("{path}[{index}]"), &of_index, rows);
        }
        return;
    }
    let text = |value: &Option<&Json>| value.map_or_else(|| MISSING.to_string(), shown);
    rows.push((path.to_string(), values.iter().map(text).collect()));
}
