//! The graph of a model as a picture: a box for each use of a layer, an arrow for each tensor.

use layout::backends::svg::SVGWriter;
use layout::core::base::Orientation;
use layout::core::geometry::Point;
use layout::core::style::StyleAttr;
use layout::std_shapes::shapes::{Arrow, Element, ShapeKind};
use layout::topo::layout::VisualGraph;
use sconce_model::Graph;
use std::collections::BTreeSet;

/// Boxes that still make a picture; what is larger is told by its table.
const MOST: usize = 200;
/// The longest line in a box, in characters, and the size of one.
const LONGEST: usize = 32;
const CHARACTER: [f64; 2] = [8.5, 17.0];

/// An SVG element of the graph, in the colors of the page; `None` if it is too large.
pub(super) fn picture(graph: &Graph) -> Option<String> {
    let nodes = graph.nodes();
    if nodes.is_empty() || nodes.len() > MOST {
        return None;
    }
    let down = Orientation::TopToBottom;
    let mut drawing = VisualGraph::new(down);
    let mut boxes = Vec::with_capacity(nodes.len());
    for node in nodes {
        let entry = graph.layers().get(node.layer)?;
        let shapes = node.outputs.iter().map(|edge| graph.dims(*edge).to_string());
        let lines = [entry.name().to_string(), entry.class_name().to_string()];
        let lines: Vec<String> = lines.into_iter().chain(shapes).map(|line| cut(&line)).collect();
        let longest = lines.iter().map(|line| line.chars().count()).max().unwrap_or_default();
        let [width, height] = CHARACTER;
        let size = Point::new((longest + 3) as f64 * width, (lines.len() + 1) as f64 * height);
        let shape = ShapeKind::new_box(&lines.join("\n"));
        boxes.push(drawing.add_node(Element::create(shape, StyleAttr::simple(), down, size)));
    }
    for (to, node) in nodes.iter().enumerate() {
        let producers = node.args.flat().into_iter().map(|edge| graph.producer(*edge).0);
        // A tensor that is read twice has one arrow.
        let from: BTreeSet<usize> = producers
            .filter_map(|producer| nodes.iter().position(|node| std::ptr::eq(node, producer)))
            .collect();
        for from in from {
            drawing.add_edge(Arrow::simple(""), *boxes.get(from)?, *boxes.get(to)?);
        }
    }
    let mut svg = SVGWriter::new();
    drawing.do_it(false, false, false, &mut svg);
    let svg = svg.finalize();
    // Within a page it has no declaration of its own, and the page's colors.
    let element = svg.get(svg.find("<svg")?..)?;
    Some(element.replace("#ffffffff", "var(--ground)").replace("#000000ff", "currentColor"))
}

fn cut(line: &str) -> String {
    match line.chars().count() > LONGEST {
        true => line.chars().take(LONGEST - 1).chain(['…']).collect(),
        false => line.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sconce_layers::{Add, Dense, LayerEntry, LayerExt};
    use sconce_model::{Apply, Architecture, Input, SymbolicTensor};

    fn graph(x: &SymbolicTensor, y: &SymbolicTensor) -> std::sync::Arc<Graph> {
        Architecture::functional([x], [y]).unwrap().graph(None).unwrap()
    }

    /// A layer that is used twice, the second time on what comes of the first, and a tensor that is read twice.
    #[test]
    fn every_use_has_a_box_and_every_tensor_an_arrow() {
        let x = Input::new([3]);
        let shared: LayerEntry = Dense::new(3).name("a<b>").into();
        let first = (&shared).apply(&x).unwrap();
        let second = (&shared).apply(&first).unwrap();
        let y = Add::new().apply([&second, &second, &first]).unwrap();
        let svg = picture(&graph(&x, &y)).unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        assert_eq!(svg.matches("<rect").count(), 4);
        assert_eq!(svg.matches("url(#endarrow)").count(), 4);
        assert_eq!(svg.matches(">a&lt;b&gt;<").count(), 2);
        assert!(!svg.contains("#000000ff") && svg.contains("currentColor"));
    }

    #[test]
    fn what_is_too_large_has_no_picture() {
        let x = Input::new([1]);
        let y = (0..MOST).fold(x.clone(), |y, _| Dense::new(1).apply(&y).unwrap());
        assert_eq!(picture(&graph(&x, &y)), None);
        let y = (1..MOST).fold(x.clone(), |y, _| Dense::new(1).apply(&y).unwrap());
        assert!(picture(&graph(&x, &y)).is_some());
    }
}
