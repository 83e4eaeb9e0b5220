//! The bar on a terminal: one line that indicatif redraws, then the finished line above it.

use super::text::{Drawing, Epoch};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};

/// A terminal with a bar on it.
pub(super) struct Bar<T> {
    screen: T,
    colors: bool,
    live: Option<ProgressBar>,
}

impl<T: TermLike + Clone + 'static> Bar<T> {
    pub fn new(screen: T, colors: bool) -> Self {
        Self { screen, colors, live: None }
    }

    /// Draws the bar anew.
    pub fn draw(&mut self, epoch: &Epoch) {
        let line = self.line(&epoch.drawing(self.width()));
        let live = self.live.get_or_insert_with(|| {
            // No rate limit and no length: the text and the time to draw are decided here.
            let target = ProgressDrawTarget::term_like(Box::new(self.screen.clone()));
            let bar = ProgressBar::with_draw_target(None, target);
            bar.with_style(
                ProgressStyle::with_template("{msg}")
                    .unwrap_or_else(|_| ProgressStyle::default_spinner()),
            )
        });
        live.set_message(line);
    }

    /// Replaces the bar by its finished form.
    pub fn finish(&mut self, epoch: &Epoch) {
        let drawing = epoch.drawing(self.width());
        if let Some(live) = self.live.take() {
            live.finish_and_clear();
        }
        let mut lines = vec![self.line(&drawing)];
        lines.extend(drawing.rest);
        self.print(&lines);
    }

    /// Leaves the bar as it is and goes to the next line, if there is a bar.
    pub fn leave(&mut self) {
        if let Some(live) = self.live.take() {
            live.abandon();
            self.print(&[String::new()]);
        }
    }

    /// Prints lines below each other. A closed terminal is no reason to end a run.
    pub fn print(&self, lines: &[String]) {
        for line in lines {
            let _ = self.screen.write_line(line);
        }
        let _ = self.screen.flush();
    }

    fn width(&self) -> usize {
        usize::from(self.screen.width())
    }

    fn line(&self, drawing: &Drawing) -> String {
        let (done, all) = drawing.bar;
        let (full, empty) = ("━".repeat(done), "━".repeat(all.saturating_sub(done)));
        let (full, empty) = if self.colors {
            let style = |text: String| console::Style::new().for_stderr().apply_to(text);
            (style(full).green().to_string(), style(empty).black().bright().to_string())
        } else {
            (full, empty.replace('━', "─"))
        };
        format!("{}{full}{empty}{}", drawing.before, drawing.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Logs;
    use std::io;
    use std::sync::{Arc, Mutex};

    /// A terminal of some width that notes what is drawn, and refuses what would wrap.
    #[derive(Clone, Debug, Default)]
    struct Screen {
        width: u16,
        lines: Arc<Mutex<Vec<String>>>,
        drawn: Arc<Mutex<Vec<String>>>,
    }

    impl Screen {
        fn fits(&self, s: &str) -> String {
            let text = console::strip_ansi_codes(s).to_string();
            assert!(console::measure_text_width(&text) <= usize::from(self.width), "{text:?}");
            text
        }
    }

    impl TermLike for Screen {
        fn width(&self) -> u16 {
            self.width
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, s: &str) -> io::Result<()> {
            self.lines.lock().unwrap().push(self.fits(s));
            Ok(())
        }
        fn write_str(&self, s: &str) -> io::Result<()> {
            self.drawn.lock().unwrap().push(self.fits(s.trim_end()));
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn nothing_wraps_at_any_width() {
        for (width, colors) in [(60, true), (60, false), (80, true), (200, true)] {
            let screen = Screen { width, ..Screen::default() };
            let mut bar = Bar::new(screen.clone(), colors);
            let logs =
                ["loss", "accuracy", "val_loss", "val_accuracy"].map(|n| (n.to_string(), 0.5));
            let mut epoch =
                Epoch { epochs: 9, steps: Some(45), logs: Logs(logs.to_vec()), ..Epoch::default() };
            for done in [1, 20, 45] {
                epoch.done = done;
                bar.draw(&epoch);
            }
            bar.finish(&epoch);
            let drawn = screen.drawn.lock().unwrap().concat();
            assert!(drawn.contains(" 1/45 ") && drawn.contains("20/45 "), "{drawn}");
            let lines = screen.lines.lock().unwrap().join("\n");
            assert!(lines.contains("45/45 ") && lines.contains("val_accuracy: 0.5000"), "{lines}");
        }
    }
}
