//! Numbers for people, and what they count.

use std::borrow::Cow;

/// `1234567` as `1,234,567`.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `0 connections`, `1 connection`, `1,000 connections`.
pub fn counted(number: u64, many: &str) -> String {
    format!("{} {}", thousands(number), noun(number, many))
}

/// What so many are called, by what many are called.
pub fn noun(number: u64, many: &str) -> Cow<'_, str> {
    match many.strip_suffix("ies") {
        _ if number != 1 || is_unit(many) => many.into(),
        Some(stem) => format!("{stem}y").into(),
        None => many.strip_suffix('s').unwrap_or(many).into(),
    }
}

/// `1 ms` is no `1 m`.
fn is_unit(word: &str) -> bool {
    matches!(word, "s" | "ms")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_apart() {
        let all: Vec<_> = [0, 999, 1_000, 12_345, 1_234_567].into_iter().map(thousands).collect();
        assert_eq!(all, ["0", "999", "1,000", "12,345", "1,234,567"]);
    }

    #[test]
    fn one_is_not_many() {
        for (number, many, text) in [
            (0, "connections", "0 connections"),
            (1, "connections", "1 connection"),
            (2, "connections", "2 connections"),
            (1_984, "store nodes", "1,984 store nodes"),
            (1, "store nodes", "1 store node"),
            (1, "entries", "1 entry"),
            (1, "ms", "1 ms"),
            (1, "%", "1 %"),
        ] {
            assert_eq!(counted(number, many), text);
        }
    }
}
