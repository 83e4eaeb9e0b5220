//! The archive's `metadata.json`.

use sconce_core::Json;
use serde_json::json;
use std::time::{SystemTime, UNIX_EPOCH};

/// The version of Keras whose format is written.
pub const KERAS_VERSION: &str = "3.15.1";

/// Metadata of a file saved now. The time is UTC (Keras writes the local time without its zone).
pub fn now() -> Json {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    json!({"keras_version": KERAS_VERSION, "date_saved": date(seconds)})
}

/// `%Y-%m-%d@%H:%M:%S` of a number of seconds since 1970.
fn date(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days since 0000-03-01, in eras of 400 years (H. Hinnant, "chrono-compatible low-level date
    // algorithms").
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}@{hour:02}:{minute:02}:{second:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds and text from Python's `datetime.fromtimestamp(s, timezone.utc).strftime(...)`.
    #[test]
    fn dates_are_pythons() {
        for (seconds, text) in [
            (0, "1970-01-01@00:00:00"),
            (951_782_399, "2000-02-28@23:59:59"),
            (951_782_400, "2000-02-29@00:00:00"),
            (1_709_210_096, "2024-02-29@12:34:56"),
            (1_767_225_599, "2025-12-31@23:59:59"),
            (4_107_542_400, "2100-03-01@00:00:00"),
        ] {
            assert_eq!(date(seconds), text);
        }
    }
}
