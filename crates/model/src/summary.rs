//! The summary of a model: Keras's table of layers, shapes and numbers of weights.

use crate::network::Network;
use std::fmt::Write;

/// The widest the table gets.
const WIDEST: usize = 100;

/// A layer in the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerRow {
    /// Its name.
    pub name: String,
    /// The name of its class.
    pub class_name: String,
    /// The shapes of what it makes, of every use.
    pub shapes: Vec<String>,
    /// How many weights it has, those of layers inside it included.
    pub weights: usize,
    /// The layers whose outputs it reads (Keras's "Connected to").
    pub reads: Vec<String>,
}

/// The layers of a network in order.
pub fn layer_rows(network: &Network) -> Vec<LayerRow> {
    let graph = network.graph();
    let rows = graph.layers().iter().enumerate().map(|(index, entry)| {
        let uses = || graph.nodes().iter().filter(move |node| node.layer == index);
        let mut reads = Vec::new();
        for edge in uses().flat_map(|node| node.args.flat()) {
            let producer = graph.layers().get(graph.producer(*edge).0.layer);
            reads.extend(producer.map(|entry| entry.name().to_string()));
        }
        let mut weights = 0;
        entry.walk("", &mut |_, inner, _| {
            weights += inner.weights().iter().map(|w| w.var.elem_count()).sum::<usize>();
        });
        LayerRow {
            name: entry.name().to_string(),
            class_name: entry.class_name().to_string(),
            shapes: uses()
                .flat_map(|n| n.outputs.iter().map(|e| graph.dims(*e).to_string()))
                .collect(),
            weights,
            reads,
        }
    });
    rows.collect()
}

/// The table of a network, at most `width` columns wide (and no narrower than 40).
pub fn summary(network: &Network, width: usize) -> String {
    let rows = layer_rows(network).into_iter().map(|row| {
        let layer = format!("{} ({})", row.name, row.class_name);
        [layer, row.shapes.join(", "), thousands(row.weights)]
    });
    let mut out = table(network.architecture().name(), "Output Shape", rows, width);
    let count = |trainable: bool| -> usize {
        let parameters = network.store().parameters().iter();
        parameters.filter(|p| p.trainable == trainable).map(|p| p.var.elem_count()).sum()
    };
    let (trainable, fixed) = (count(true), count(false));
    let line =
        |name: &str, n: usize| format!(" {name} params: {} ({})\n", thousands(n), bytes(n * 4));
    out += &line("Total", trainable + fixed);
    out += &line("Trainable", trainable);
    out += &line("Non-trainable", fixed);
    out
}

/// Keras's table of the layers of a model: of each its name and class, what `second` says, and the number of its
/// weights.
pub fn table(
    model: &str,
    second: &str,
    layers: impl IntoIterator<Item = [String; 3]>,
    width: usize,
) -> String {
    let mut rows = vec![["Layer (type)".to_string(), second.to_string(), "Param #".to_string()]];
    rows.extend(layers);
    let widest = |column: usize| rows.iter().map(|r| r[column].chars().count()).max().unwrap_or(0);
    let room = width.clamp(40, WIDEST) - 10;
    let last = widest(2).min(room / 3);
    let first = widest(0).min((room - last) * 3 / 5);
    let second = widest(1).min(room - last - first);
    let widths = [first, second, last];
    let rule = |left: &str, middle: &str, right: &str, line: &str| {
        let parts: Vec<String> = widths.iter().map(|w| line.repeat(w + 2)).collect();
        format!("{left}{}{right}\n", parts.join(middle))
    };
    let mut out = format!("Model: \"{model}\"\n");
    out += &rule("┏", "┳", "┓", "━");
    for (index, row) in rows.iter().enumerate() {
        let cells: Vec<String> = row
            .iter()
            .zip(widths)
            .enumerate()
            .map(|(column, (cell, width))| pad(cell, width, column == 2 && index > 0))
            .collect();
        let bar = if index == 0 { "┃" } else { "│" };
        let _ = writeln!(out, "{bar}{}{bar}", cells.join(bar));
        out += &if index == 0 { rule("┡", "╇", "┩", "━") } else { String::new() };
    }
    out += &rule("└", "┴", "┘", "─");
    out
}

fn pad(text: &str, width: usize, right: bool) -> String {
    let length = text.chars().count();
    let cut: String = if length > width {
        text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
    } else {
        text.to_string()
    };
    if right { format!(" {cut:>width$} ") } else { format!(" {cut:<width$} ") }
}

/// 12345 as "12,345".
pub fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number of bytes as Keras writes it: "1.50 KB".
fn bytes(n: usize) -> String {
    let mut value = n as f64;
    for unit in ["B", "KB", "MB", "GB"] {
        if value < 1024.0 {
            return format!("{value:.2} {unit}");
        }
        value /= 1024.0;
    }
    format!("{value:.2} TB")
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_are_grouped() {
        let cases = [(0, "0"), (999, "999"), (1000, "1,000"), (1234567, "1,234,567")];
        cases.iter().for_each(|(n, text)| assert_eq!(super::thousands(*n), *text));
    }
}
