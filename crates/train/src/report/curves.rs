//! Curves of values over epochs, as SVG.

use crate::history::{History, short};
use plotters::coord::Shift;
use plotters::prelude::*;
use sconce_core::{Error, Result};
use std::fmt;

/// The size of a panel; pages scale it.
const SIZE: (u32, u32) = (480, 300);
/// Text and axes, in a colour that nothing else has, so that a page can put its own in its place.
const INK: RGBColor = RGBColor(1, 2, 3);
const INK_TEXT: &str = "#010203";
/// Colours that differ in lightness too, on light and on dark ground.
const COLOURS: [RGBColor; 8] = [
    RGBColor(43, 123, 186),
    RGBColor(217, 95, 2),
    RGBColor(27, 158, 119),
    RGBColor(204, 121, 167),
    RGBColor(230, 171, 2),
    RGBColor(102, 102, 204),
    RGBColor(166, 118, 29),
    RGBColor(128, 128, 128),
];
/// Up to so many epochs, each is a point on its line.
const POINTS: usize = 40;
const FONT: &str = "sans-serif";
/// Larger values are not drawn.
const LARGEST: f64 = 1e100;
/// Smaller differences are not seen.
const SMALLEST: f64 = 1e-30;

/// Curves that share their axes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Panel {
    pub title: String,
    pub lines: Vec<Line>,
}

/// The values of a name, each with its epoch from 1; only finite ones.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub name: String,
    pub points: Vec<(f64, f64)>,
    /// Which of the points is marked.
    pub best: Option<(f64, f64)>,
}

impl Line {
    /// The values of a name in a history, without those beyond any axis.
    pub fn of(history: &History, name: &str, label: &str) -> Self {
        let point = |epoch: usize, value: f64| ((epoch + 1) as f64, value);
        Self {
            name: label.to_string(),
            points: history
                .at_epochs(name)
                .filter(|at| at.value.abs() < LARGEST)
                .map(|at| point(at.epoch, at.value))
                .collect(),
            best: history.best(name).map(|at| point(at.epoch, at.value)),
        }
    }
}

/// A panel for each name, with the values of validation beside those of training. The best epoch is that
/// of validation where there is one.
pub(crate) fn panels(history: &History) -> Vec<Panel> {
    let is_pair = |name: &str| {
        name.strip_prefix("val_").is_some_and(|plain| history.history.contains_key(plain))
    };
    let panel = |name: &String| {
        let mut lines = vec![Line::of(history, name, "training")];
        let validation = format!("val_{name}");
        if is_pair(&validation) {
            lines[0].best = None;
            lines.push(Line::of(history, &validation, "validation"));
        }
        lines.retain(|line| !line.points.is_empty());
        let best = lines.iter().find_map(|line| line.best);
        let best = best.map(|(epoch, value)| format!(": best {} in epoch {epoch}", short(value)));
        Panel { title: format!("{name}{}", best.unwrap_or_default()), lines }
    };
    let names = history.history.keys().filter(|name| !is_pair(name));
    names.map(panel).filter(|panel| !panel.lines.is_empty()).collect()
}

/// Panels as one picture, on white ground.
///
/// # Errors
/// If there is nothing to draw.
pub(crate) fn figure(panels: &[Panel]) -> Result<String> {
    if panels.is_empty() {
        return Err(Error::data("there are no finite values to draw curves of"));
    }
    let columns = if panels.len() > 1 { 2 } else { 1 };
    let rows = panels.len().div_ceil(columns);
    let mut svg = String::new();
    let size = (SIZE.0 * columns as u32, SIZE.1 * rows as u32);
    {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        area.fill(&WHITE).map_err(failed)?;
        for (area, panel) in area.split_evenly((rows, columns)).iter().zip(panels) {
            draw(area, panel).map_err(failed)?;
        }
        area.present().map_err(failed)?;
    }
    Ok(svg.replace(INK_TEXT, "#222222"))
}

/// A panel for a page: text and axes have the colour of its text, and the size is up to it.
pub(crate) fn inline(panel: &Panel) -> Result<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        draw(&area, panel).map_err(failed)?;
        area.present().map_err(failed)?;
    }
    let svg = svg.replace(INK_TEXT, "currentColor");
    let inner = svg.split_once('>').map(|(_, inner)| inner).unwrap_or_default();
    Ok(format!("<svg viewBox=\"0 0 {} {}\" role=\"img\">{inner}", SIZE.0, SIZE.1))
}

fn failed(error: impl fmt::Display) -> Error {
    Error::data(format!("the curves cannot be drawn: {error}"))
}

type Drawn<DB> = std::result::Result<(), DrawingAreaErrorKind<<DB as DrawingBackend>::ErrorType>>;

fn draw<DB: DrawingBackend>(area: &DrawingArea<DB, Shift>, panel: &Panel) -> Drawn<DB> {
    let text = |size: u32| TextStyle::from((FONT, size).into_font()).color(&INK);
    let points = || panel.lines.iter().flat_map(|line| &line.points);
    let (left, right) = range(points().map(|(x, _)| *x), 0.0);
    let (low, high) = range(points().map(|(_, y)| *y), 0.05);
    let mut chart = ChartBuilder::on(area)
        .caption(&panel.title, text(18))
        .margin(8)
        .margin_right(16)
        .x_label_area_size(42)
        .y_label_area_size(64)
        .build_cartesian_2d(left..right, low..high)?;
    let epoch = |x: &f64| if x.fract() == 0.0 { format!("{x}") } else { String::new() };
    chart
        .configure_mesh()
        .x_desc("epoch")
        .x_labels(8)
        .y_labels(6)
        .x_label_formatter(&epoch)
        .y_label_formatter(&|y: &f64| number(*y))
        .label_style(text(16))
        .axis_desc_style(text(16))
        .axis_style(INK.mix(0.6))
        .bold_line_style(INK.mix(0.12))
        .light_line_style(TRANSPARENT)
        .draw()?;
    for (line, colour) in panel.lines.iter().zip(COLOURS.iter().cycle()) {
        let style = colour.stroke_width(2);
        chart
            .draw_series(LineSeries::new(line.points.iter().copied(), style))?
            .label(line.name.as_str())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], style));
        if line.points.len() <= POINTS {
            let dots = line.points.iter().map(|at| Circle::new(*at, 2, colour.filled()));
            chart.draw_series(dots)?;
        }
        if let Some(best) = line.best {
            chart.draw_series([Circle::new(best, 6, INK.stroke_width(2))])?;
        }
    }
    if panel.lines.len() > 1 {
        // Where curves that rise, or fall, leave room.
        let rises =
            panel.lines.iter().any(|line| match (line.points.first(), line.points.last()) {
                (Some(first), Some(last)) => last.1 > first.1,
                _ => false,
            });
        chart
            .configure_series_labels()
            .position(match rises {
                true => SeriesLabelPosition::LowerRight,
                false => SeriesLabelPosition::UpperRight,
            })
            .label_font(text(16))
            .draw()?;
    }
    Ok(())
}

/// From the least to the greatest value, and a part of that on either side; never empty.
fn range(values: impl Iterator<Item = f64> + Clone, margin: f64) -> (f64, f64) {
    let low = values.clone().fold(f64::INFINITY, f64::min);
    let high = values.fold(f64::NEG_INFINITY, f64::max);
    let size = low.abs().max(high.abs());
    let room = match high - low {
        room if room > size * 1e-9 && room > SMALLEST => room * margin,
        // As good as a single value.
        _ if size < SMALLEST => 0.1,
        _ => size * 0.1,
    };
    (low - room, high + room)
}

/// A number at an axis.
fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_string(),
        size if (1e-3..1e5).contains(&size) => {
            let text = format!("{value:.4}");
            text.trim_end_matches('0').trim_end_matches('.').to_string()
        }
        _ => format!("{value:.1e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Logs;

    fn history() -> History {
        let mut history = History::default();
        for (epoch, loss) in [0.9, 0.5, f64::NAN, 0.7].into_iter().enumerate() {
            let logs = [("loss", loss / 2.0), ("a<b>&", 1e-6), ("val_loss", loss)];
            history.push(epoch, &Logs(logs.map(|(name, v)| (name.to_string(), v)).to_vec()));
        }
        history
    }

    #[test]
    fn validation_stands_beside_training_and_has_the_best_epoch() {
        let panels = panels(&history());
        let titles: Vec<&str> = panels.iter().map(|panel| panel.title.as_str()).collect();
        assert_eq!(titles, ["loss: best 0.5000 in epoch 2", "a<b>&"]);
        let [training, validation] = panels[0].lines.as_slice() else { panic!("{panels:?}") };
        assert_eq!(training.points, [(1.0, 0.45), (2.0, 0.25), (4.0, 0.35)]);
        assert_eq!((training.best, validation.best), (None, Some((2.0, 0.5))));
    }

    #[test]
    fn plot_writes_one_picture() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("curves.svg");
        history().plot(&path).unwrap();
        let svg = std::fs::read_to_string(&path).unwrap();
        assert!(svg.starts_with("<svg width=\"960\" height=\"300\""), "{svg}");
        for text in ["loss: best 0.5000 in epoch 2", "validation", "a&lt;b&gt;&amp;", "epoch"] {
            assert!(svg.contains(text), "{text} is in {svg}");
        }
        let error = History::default().plot(&path).unwrap_err().to_string();
        assert!(error.contains("no finite values"), "{error}");
    }

    #[test]
    fn any_values_can_be_drawn() {
        for values in
            [[1.0, f64::MAX], [-3.0, -3.0], [0.0, 0.0], [1e-300, 2e-300], [3.0, f64::INFINITY]]
        {
            let mut history = History::default();
            for (epoch, value) in values.into_iter().enumerate() {
                history.push(epoch, &Logs(vec![("loss".into(), value)]));
            }
            assert!(figure(&panels(&history)).unwrap().contains("</svg>"), "{values:?}");
        }
    }
}
