//! Takes out of a text what differs between runs: times, spans, ports, the random tails of names, counts of what happened.

/// Where numbers differ between runs or machines: what stands before them, and after.
const COUNTED: &[(&str, &str)] = &[
    ("", "KB,"),
    ("", "entries,"),
    ("", "lines"),
    ("", "records to"),
    ("", "rows compared"),
    // The limit of open files, and what follows from it.
    ("", "now, "),
    ("now,", "at most"),
    ("of", "connections"),
];

/// What is replaced, beside what is known by its form.
pub(super) struct Normal(Vec<(String, String)>);

impl Normal {
    /// Texts of this fleet, and what stands for them.
    pub(super) fn new(replaced: &[(&str, &str)]) -> Self {
        Self(replaced.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect())
    }

    /// A line, or a cell of a table.
    pub(super) fn line(&self, line: &str) -> String {
        let line = self.0.iter().fold(line.to_owned(), |line, (from, to)| replace_word(&line, from, to));
        let line = words(&line, |c| c.is_ascii_alphanumeric() || "-_:.".contains(c), by_form);
        spans(&line)
    }
}

/// Replaces a text where it is not a part of a longer word.
fn replace_word(line: &str, from: &str, to: &str) -> String {
    let mut done = String::new();
    let mut rest = line;
    while let Some(at) = rest.find(from) {
        let (before, after) = (&rest[..at], &rest[at + from.len()..]);
        let is_word = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '-');
        let is_part = is_word(before.chars().next_back()) || is_word(after.chars().next());
        done += before;
        done += if is_part { from } else { to };
        rest = after;
    }
    done + rest
}

/// Changes each run of characters that belong to a word.
fn words(line: &str, is_word: impl Fn(char) -> bool, change: impl Fn(&str) -> String) -> String {
    let (mut done, mut word) = (String::new(), String::new());
    for c in line.chars() {
        if is_word(c) {
            word.push(c);
            continue;
        }
        done += &change(&word);
        word.clear();
        done.push(c);
    }
    done + &change(&word)
}

fn by_form(word: &str) -> String {
    // A full stop, or the colon of a sentence, is no part of it.
    let core = word.trim_end_matches([':', '.']);
    let tail = &word[core.len()..];
    if core.len() == 20 && core.ends_with('Z') && core.as_bytes()[10] == b'T' {
        return format!("TIME{tail}");
    }
    if let Some((host, port)) = core.split_once(':')
        && is_digits(port)
        && host.starts_with("127.")
    {
        return format!("{host}:PORT{tail}");
    }
    if core.starts_with("eyJ") && core.matches('.').count() == 2 {
        return format!("JWT{tail}");
    }
    words(word, |c| c.is_ascii_alphanumeric() || c == '-' || c == '_', by_name)
}

/// Names that are made up.
fn by_name(word: &str) -> String {
    let is_hex = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_hexdigit());
    if word.strip_prefix("chatctl-").is_some_and(|tail| tail.len() == 8 && is_hex(tail)) {
        return "chatctl-ID".to_owned();
    }
    for kind in ["op", "ov", "inc"] {
        let tail =
            word.strip_prefix(kind).and_then(|rest| rest.strip_prefix('-')).and_then(|rest| rest.split_once('-'));
        if tail.is_some_and(|(number, tail)| is_digits(number) && tail.len() == 4 && is_hex(tail)) {
            return format!("{kind}-ID");
        }
    }
    if word.strip_prefix("t-").is_some_and(|tail| tail.len() == 8 && is_hex(tail)) {
        return "t-ID".to_owned();
    }
    if word.starts_with("cft_") {
        return "SECRET".to_owned();
    }
    if word.len() >= 12 && is_hex(word) { "HASH".to_owned() } else { word.to_owned() }
}

/// Spans of time, and numbers of what is counted.
fn spans(line: &str) -> String {
    let mut done: Vec<String> = Vec::new();
    let mut rest = line;
    while let Some((word, after)) = rest.split_once(' ').or((!rest.is_empty()).then_some((rest, ""))) {
        let before = done.last().map_or("", String::as_str);
        let is_counted =
            |(left, right): &(&str, &str)| (left.is_empty() || *left == before) && after.starts_with(right);
        rest = after;
        let core = word.trim_end_matches([',', ')', ';', '.']).trim_start_matches('(');
        if is_span(core) {
            let masked = word.replacen(core, "SPAN", 1);
            // `9m 52s` is one span.
            match done.last_mut().filter(|last| last.trim_start_matches('(') == "SPAN") {
                Some(last) => *last = last.replacen("SPAN", &masked, 1),
                None => done.push(masked),
            }
            continue;
        }
        let is_number =
            word.starts_with(|c: char| c.is_ascii_digit()) && word.chars().all(|c| c.is_ascii_digit() || c == ',');
        done.push(if is_number && COUNTED.iter().any(is_counted) { "N" } else { word }.to_owned());
    }
    done.join(" ")
}

/// A span as chatctl prints it, or one part of it.
fn is_span(word: &str) -> bool {
    let Some(number) = ["ms", "s", "m", "h", "d"].iter().find_map(|unit| word.strip_suffix(unit)) else { return false };
    number.starts_with(|c: char| c.is_ascii_digit()) && number.chars().all(|c| c.is_ascii_digit() || c == '.')
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_lines_keep_words_and_lose_what_varies() {
        let normal = Normal::new(&[("/tmp/x", "DIR"), ("golden-7", "dev")]);
        for (line, shown) in [
            ("operation/op-12-99dc.state==done: it is op-1-abcd.", "operation/op-ID.state==done: it is op-ID."),
            ("at 2026-11-25T04:13:09Z: http://127.0.0.1:7400/v1", "at TIME: http://127.0.0.1:PORT/v1"),
            ("  ONE for 9m 52s more, 3014 ms (8.5s)", "  ONE for SPAN more, 3014 ms (SPAN)"),
            ("20000 now, 1,000 at most, 2 at once", "N now, N at most, 2 at once"),
            ("1 of 99 connections", "1 of N connections"),
            ("97 entries, head 0123456789abcdef", "N entries, head HASH"),
            ("/tmp/x/waits.md of golden-7, not golden-77", "DIR/waits.md of dev, not golden-77"),
            ("gw-1 has 2 of 3 nodes; op-1 stays, so does face", "gw-1 has 2 of 3 nodes; op-1 stays, so does face"),
        ] {
            assert_eq!(normal.line(line), shown);
        }
    }
}
