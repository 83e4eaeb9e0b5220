//! Reports as HTML: one file, no scripts, nothing from elsewhere.

use super::classes::Confusion;
use super::compare::Comparison;
use super::curves::{self, Panel};
use super::{Classes, ModelTable, Report, Score, Shown};
use crate::history::short;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sconce_core::Result;
use sconce_model::summary::thousands;
use std::time::Duration;

/// Up to so many classes have a whole table.
const TABLE: usize = 30;
/// Confusions that are listed for more.
const LISTED: usize = 20;
/// What browsers are told: load nothing, from anywhere.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/// The page of a run.
pub(super) fn page(report: &Report) -> Result<String> {
    let curves = drawn(&report.panels)?;
    let body = html! {
        @for note in &report.notes { p.note { (note) } }
        section {
            h2 { "Scores" }
            (scores(&report.scores))
        }
        (curves)
        @if let Some(classes) = &report.classes { (classes_of(classes)) }
        @if let Some(model) = &report.model { (model_table(model)) }
        section {
            h2 { "Run" }
            dl { @for (name, value) in &report.facts { dt { (name) } dd { (value) } } }
            @if let Some(configuration) = &report.configuration {
                details { summary { "Configuration" } pre { (configuration) } }
            }
        }
    };
    Ok(document(&report.title, &body))
}

/// The page of several runs.
pub(super) fn comparison(comparison: &Comparison, panels: &[Panel]) -> Result<String> {
    let curves = drawn(panels)?;
    let names = comparison.names();
    let body = html! {
        section {
            h2 { "Scores" }
            div.scroll { table {
                thead { tr { th { "" } @for name in &names { th.number { (name) } } } }
                tbody { @for (what, values) in comparison.scores() {
                    tr { th { (what) } @for value in values { td.number { (value) } } }
                } }
            } }
        }
        (curves)
        section {
            h2 { "Differences" }
            @let differences = comparison.differences();
            @if differences.is_empty() { p { (comparison.no_difference()) } }
            @else { div.scroll { table {
                thead { tr { th { "" } @for name in &names { th { (name) } } } }
                tbody { @for (key, values) in &differences {
                    tr { th { (key) } @for value in values { td { code { (value) } } } }
                } }
            } } }
        }
    };
    Ok(document(&names.join(", "), &body))
}

fn document(title: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(include_str!("page.css"))) }
            }
            body { main { h1 { (title) } (body) } }
        }
    };
    page.into_string()
}

fn drawn(panels: &[Panel]) -> Result<Markup> {
    let curves = panels.iter().map(|panel| Ok((panel, curves::inline(panel)?)));
    let curves: Vec<(&Panel, String)> = curves.collect::<Result<_>>()?;
    Ok(html! {
        section {
            h2 { "Learning curves" }
            @if curves.is_empty() { p { "No finite value was logged." } }
            div.curves { @for (panel, svg) in curves {
                figure aria-label=(panel.title) { (PreEscaped(svg)) }
            } }
        }
    })
}

fn scores(scores: &[Score]) -> Markup {
    html! {
        div.scroll { table {
            thead { tr {
                th { "" } th.number { "Last epoch" } th.number { "Best" } th.number { "Best epoch" }
            } }
            tbody { @for Score { name, last, best } in scores {
                tr {
                    th { (name) }
                    td.number { (short(*last)) }
                    @if let Some((value, epoch)) = best {
                        td.number { (short(*value)) }
                        td.number { (epoch) }
                    } @else { td {} td {} }
                }
            } }
        } }
    }
}

fn classes_of(classes: &Classes) -> Markup {
    let name =
        |class: usize| classes.names.get(class).cloned().unwrap_or_else(|| class.to_string());
    html! { @for (confusion, shown) in &classes.outputs {
        section {
            h2 { "Classes" @if let Some(output) = &confusion.output { " of " code { (output) } } }
            p {
                "Of " (thousands(confusion.samples())) " samples of the " (classes.of) ", "
                (thousands(confusion.right())) " are taken for their own class ("
                (percent(confusion.right(), confusion.samples())) ")."
            }
            @if confusion.classes <= TABLE { (matrix(confusion, &name)) }
            @else { (frequent(confusion, &name)) }
            @if !shown.is_empty() {
                h3 { "Worst mistakes" }
                p { "Those whose own class has the least probability, of the " (classes.of) "." }
                div.mistakes { @for shown in shown { (mistake(shown, &name)) } }
            }
        }
    } }
}

fn matrix(confusion: &Confusion, name: &dyn Fn(usize) -> String) -> Markup {
    let classes = 0..confusion.classes;
    html! {
        div.scroll { table.confusion {
            caption { "Rows: the class of the samples. Columns: the class that they are taken for." }
            thead { tr {
                th { "" }
                @for class in classes.clone() { th.number scope="col" { (name(class)) } }
                th.number { "right" }
            } }
            tbody { @for class in classes.clone() {
                @let all = confusion.of_class(class);
                tr {
                    th scope="row" { (name(class)) }
                    @for other in classes.clone() {
                        @let count = confusion.count(class, other);
                        @let share = count as f64 / all.max(1) as f64;
                        @let kind = if class == other { "number own" } else { "number other" };
                        td class=(kind) style=(format!("--share:{share:.3}")) { (count) }
                    }
                    td.number { (percent(confusion.count(class, class), all)) }
                }
            } }
        } }
    }
}

fn frequent(confusion: &Confusion, name: &dyn Fn(usize) -> String) -> Markup {
    html! {
        p { "The most frequent confusions of " (confusion.classes) " classes:" }
        div.scroll { table {
            thead { tr { th { "Class" } th { "Taken for" } th.number { "Samples" } } }
            tbody { @for ((class, predicted), count) in confusion.most_frequent().iter().take(LISTED) {
                tr { td { (name(*class)) } td { (name(*predicted)) } td.number { (count) } }
            } }
        } }
    }
}

fn mistake(shown: &Shown, name: &dyn Fn(usize) -> String) -> Markup {
    let mistake = &shown.mistake;
    let taken = format!("{} taken for {}", name(mistake.class), name(mistake.predicted));
    html! {
        figure {
            @if let Some(picture) = &shown.picture { img src=(picture) alt=(taken); }
            figcaption {
                b { (name(mistake.class)) } " (" (share(mistake.of_class)) ") taken for "
                b { (name(mistake.predicted)) } " (" (share(mistake.of_predicted)) ")"
                br;
                small { "row " (mistake.row) }
                @if let Some(features) = &shown.features { br; small { (features) } }
            }
        }
    }
}

fn model_table(model: &ModelTable) -> Markup {
    let total: Duration = match &model.times {
        Some((times, _)) => times.values().sum(),
        None => Duration::ZERO,
    };
    html! {
        section {
            h2 { "Model " code { (model.name) } }
            div.scroll { table {
                thead { tr {
                    th { "Layer" } th { "Type" } th { "Output shape" } th { "Reads" }
                    th.number { "Weights" }
                    @if model.times.is_some() { th.number { "Time" } th.number { "Share" } }
                } }
                tbody { @for layer in &model.layers {
                    tr {
                        th { (layer.name) }
                        td { (layer.class_name) }
                        td { (layer.shapes.join(", ")) }
                        td { (layer.reads.join(", ")) }
                        td.number { (thousands(layer.weights)) }
                        @if let Some((times, _)) = &model.times {
                            @match times.get(&layer.name) {
                                Some(time) => {
                                    td.number { (format!("{:.1} µs", time.as_secs_f64() * 1e6)) }
                                    td.number {
                                        (share(time.as_secs_f64() / total.as_secs_f64().max(1e-9)))
                                    }
                                },
                                None => { td {} td {} },
                            }
                        }
                    }
                } }
            } }
            @if let Some(picture) = &model.picture {
                details { summary { "Graph" } div.graph { (PreEscaped(picture)) } }
            }
            p {
                (thousands(model.weights)) " weights, " (thousands(model.trainable)) " of them trainable."
                @if let Some((_, of)) = &model.times { " Times: " (of) "." }
            }
        }
    }
}

fn percent(part: usize, whole: usize) -> String {
    match whole {
        0 => "–".to_string(),
        _ => share(part as f64 / whole as f64),
    }
}

fn share(part: f64) -> String {
    format!("{:.1} %", part * 100.0)
}
