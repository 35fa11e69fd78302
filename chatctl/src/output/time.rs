//! Times for people: UTC, to the second.

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// A time in ms since the epoch, as `2026-01-31T12:00:00Z`.
pub fn format_ms(ms: u64) -> String {
    let seconds = i64::try_from(ms / 1_000).unwrap_or(i64::MAX);
    let time = OffsetDateTime::from_unix_timestamp(seconds).ok().and_then(|time| time.format(&Rfc3339).ok());
    time.unwrap_or_else(|| format!("{ms} ms"))
}

/// A span of time to two units, as `1h 20m` or `8.5s`.
pub fn format_span(ms: u64) -> String {
    let s = ms / 1_000;
    match s {
        0..60 if ms < 10_000 => format!("{:.1}s", ms as f64 / 1_000.0),
        0..60 => format!("{s}s"),
        60..3_600 => format!("{}m {:02}s", s / 60, s % 60),
        3_600..172_800 => format!("{}h {:02}m", s / 3_600, s / 60 % 60),
        _ => format!("{}d {:02}h", s / 86_400, s / 3_600 % 24),
    }
}

/// The time of day of a time in ms since the epoch, as `12:00:00`.
pub fn time_of_day(ms: u64) -> String {
    let s = ms / 1_000 % 86_400;
    format!("{:02}:{:02}:{:02}", s / 3_600, s / 60 % 60, s % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc() {
        assert_eq!(format_ms(0), "1970-01-01T00:00:00Z");
        assert_eq!(format_ms(1_700_000_000_999), "2023-11-14T22:13:20Z");
        assert_eq!((time_of_day(0), time_of_day(1_700_000_000_999)), ("00:00:00".into(), "22:13:20".into()));
        let spans = [0, 8_540, 59_999, 60_000, 3_725_000, 172_800_000].map(format_span);
        assert_eq!(spans, ["0.0s", "8.5s", "59s", "1m 00s", "1h 02m", "2d 00h"]);
        assert_eq!(format_ms(u64::MAX), format!("{} ms", u64::MAX));
    }
}
