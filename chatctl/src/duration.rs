//! Times as people write them: `500ms`, `30s`, `10m`, `1h`, `7d`.

use std::time::Duration;

/// Reads a time. A bare number is refused: nobody knows its unit.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or("needs a unit: ms, s, m, h or d")?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| "must be a number and a unit, as in 30s")?;
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(format!("unknown unit {unit:?}: ms, s, m, h or d")),
    };
    match number.checked_mul(unit_ms) {
        Some(ms @ 1..=315_360_000_000) => Ok(Duration::from_millis(ms)),
        _ => Err("must be between 1ms and 3650d".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_need_a_unit_and_a_size() {
        assert_eq!(parse_duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("2d"), Ok(Duration::from_secs(172_800)));
        for bad in ["", "30", "s", "-1s", "1.5h", "0s", "99999999999999999999s", "9999d", "1 s", "1y"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
