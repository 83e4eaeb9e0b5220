//! Shows the library's notices (such as "takes its outputs as logits") on stderr.

use std::fmt::Write as _;
use std::io::Write as _;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// From now on shows warnings, and notices too if `notices`.
pub fn show(notices: bool) {
    let least = if notices { Level::INFO } else { Level::WARN };
    // Fails only where there is one already, which nothing in this program sets.
    let _ = tracing::subscriber::set_global_default(Notes { least });
}

struct Notes {
    least: Level,
}

impl Subscriber for Notes {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.least && metadata.target().starts_with("sconce")
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        let kind = if *event.metadata().level() <= Level::WARN { "warning" } else { "note" };
        let _ = writeln!(std::io::stderr(), "{kind}: {}{}", line.message, line.fields);
    }

    // The library has events only; spans are of no interest.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}
