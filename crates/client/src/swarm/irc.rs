//! Chat logs of an IRC channel.
//!
//! `[HH:MM] <nick> text` is a message and `[HH:MM]  * nick action` an action, also a message. `=== nick [host] has
//! joined|left|quit` and `=== nick is now known as other` are arrivals and departures: a rename is the departure of one
//! user and the arrival of another, as a user has one name. Other `===` lines say nothing about clients.

use std::collections::BTreeSet;

/// Why a log cannot be replayed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IrcError {
    /// Nobody says anything.
    #[error("the log has no message")]
    Empty,
    /// A line is none of the known kinds.
    #[error("line {line} is no line of a chat log: {text:?}")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// Its beginning.
        text: String,
    },
}

/// What someone does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Comes.
    Join,
    /// Goes.
    Quit,
    /// Says this.
    Say(String),
}

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Milliseconds after the first line. Logs tell minutes; the lines of a minute are spread over it.
    pub at_ms: u64,
    /// Who, as a user id.
    pub user: String,
    /// What.
    pub act: Act,
}

/// A log in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Log {
    /// Its lines.
    pub steps: Vec<Step>,
}

impl Log {
    /// Reads a log.
    pub fn parse(text: &str) -> Result<Self, IrcError> {
        let mut steps: Vec<Step> = Vec::new();
        let mut clock = Clock::default();
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let broken = || IrcError::Line { line: index + 1, text: line.chars().take(80).collect() };
            if let Some(news) = line.strip_prefix("===") {
                let minute = clock.minute();
                steps.extend(arrivals(news).into_iter().map(|(user, act)| Step { at_ms: minute, user, act }));
            } else {
                let (minute, nick, text) = message(line).ok_or_else(broken)?;
                let at_ms = clock.reads(minute);
                steps.push(Step { at_ms, user: user_id(nick), act: Act::Say(text) });
            }
        }
        if !steps.iter().any(|step| matches!(step.act, Act::Say(_))) {
            return Err(IrcError::Empty);
        }
        spread(&mut steps);
        Ok(Self { steps })
    }

    /// Everyone who says something, in the order of their first word.
    pub fn speakers(&self) -> Vec<&str> {
        let mut seen = BTreeSet::new();
        let says = self.steps.iter().filter(|step| matches!(step.act, Act::Say(_)));
        says.map(|step| step.user.as_str()).filter(|user| seen.insert(*user)).collect()
    }

    /// How many messages there are.
    pub fn messages(&self) -> usize {
        self.steps.iter().filter(|step| matches!(step.act, Act::Say(_))).count()
    }
}

/// Minutes of the day as milliseconds from the first; past midnight goes on.
#[derive(Default)]
struct Clock {
    first: Option<u64>,
    now: u64,
    days: u64,
}

impl Clock {
    fn minute(&self) -> u64 {
        (self.now - self.first.unwrap_or(self.now)) * 60_000
    }

    fn reads(&mut self, minute: u64) -> u64 {
        if self.first.is_some() && minute + self.days * 1_440 < self.now {
            self.days += 1;
        }
        self.now = minute + self.days * 1_440;
        self.first.get_or_insert(self.now);
        self.minute()
    }
}

/// Spreads the lines of each minute evenly over it.
fn spread(steps: &mut [Step]) {
    for minute in steps.chunk_by_mut(|one, next| one.at_ms == next.at_ms) {
        let count = minute.len() as u64;
        for (index, step) in minute.iter_mut().enumerate() {
            step.at_ms += index as u64 * 60_000 / count;
        }
    }
}

/// `[HH:MM] <nick> text` or `[HH:MM]  * nick action`.
fn message(line: &str) -> Option<(u64, &str, String)> {
    let (clock, rest) = line.strip_prefix('[')?.split_once(']')?;
    let (hours, minutes) = clock.split_once(':')?;
    let (hours, minutes): (u64, u64) = (hours.parse().ok()?, minutes.parse().ok()?);
    let rest = rest.trim_start();
    let (nick, text) = if let Some(said) = rest.strip_prefix('<') {
        // A nick has no blank and no `>`.
        let (nick, text) = said.split_once('>')?;
        (nick, text.strip_prefix(' ').unwrap_or(text).to_owned())
    } else {
        let done = rest.strip_prefix("* ")?.trim_start();
        (done.split(' ').next()?, format!("* {done}"))
    };
    // A body must not be empty.
    let text = if text.is_empty() { " ".to_owned() } else { text };
    (!nick.is_empty() && hours < 24 && minutes < 60).then_some((hours * 60 + minutes, nick, text))
}

/// Who comes and who goes by a `===` line.
fn arrivals(news: &str) -> Vec<(String, Act)> {
    let words: Vec<_> = news.split_whitespace().collect();
    match words[..] {
        [old, "is", "now", "known", "as", new] => vec![(user_id(old), Act::Quit), (user_id(new), Act::Join)],
        [nick, host, "has", did, ..] if host.starts_with('[') => match did {
            "joined" => vec![(user_id(nick), Act::Join)],
            "left" | "quit" => vec![(user_id(nick), Act::Quit)],
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// A user id for a nick: what an id may have stays, other bytes become `.` and two hexadecimal digits, the dot as well.
/// Different nicks give different ids.
fn user_id(nick: &str) -> String {
    let mut id = String::with_capacity(nick.len());
    for byte in nick.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => id.push(byte as char),
            other => id.push_str(&format!(".{other:02x}")),
        }
    }
    if id.len() > 64 {
        // Two dots in a row come from no nick that fits.
        id.truncate(30);
        id.push_str(&format!("..{:032x}", domain::body_hash(nick)));
    }
    id
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const SAMPLE: &str = "[23:59] <ann> hello
=== bob [n=bob@example.org] has joined #test
[23:59] <bob> hi > all

=== mode/#test [+o bob]  by ChanServ
[00:01]  * ann waves
=== ann is now known as ann|away
=== bob [n=bob@example.org]  has left #test [\"Leaving\"]
";

    #[test]
    fn lines_become_steps() {
        let log = Log::parse(SAMPLE).unwrap();
        let steps: Vec<_> = log.steps.iter().map(|s| (s.at_ms, s.user.as_str(), s.act.clone())).collect();
        let say = |text: &str| Act::Say(text.to_owned());
        assert_eq!(
            steps,
            [
                (0, "ann", say("hello")),
                (20_000, "bob", Act::Join),
                (40_000, "bob", say("hi > all")),
                (120_000, "ann", say("* ann waves")),
                (135_000, "ann", Act::Quit),
                (150_000, "ann.7caway", Act::Join),
                (165_000, "bob", Act::Quit),
            ]
        );
        assert_eq!((log.speakers(), log.messages()), (vec!["ann", "bob"], 3));
    }

    #[test]
    fn what_is_no_log_is_refused_by_line() {
        assert_eq!(Log::parse(""), Err(IrcError::Empty));
        assert_eq!(Log::parse("=== a [b] has joined #c"), Err(IrcError::Empty));
        for text in ["<ann> hi", "[25:00] <ann> hi", "[10:00] ann hi", "[1000] <a> b", "[10:00] <> b", "\u{0}"] {
            let error = Log::parse(&format!("[10:00] <ann> hi\n{text}")).unwrap_err();
            assert_eq!(error, IrcError::Line { line: 2, text: text.to_owned() });
        }
    }

    #[test]
    fn nicks_become_ids_without_collisions() {
        let long = "|".repeat(40);
        let nicks = ["a", "a.", "a|", "a.7c", "[a]", "`a", "é", "a_", "a-", &long, &long[1..], "A"];
        let ids: BTreeSet<_> = nicks.iter().map(|nick| user_id(nick)).collect();
        assert_eq!(ids.len(), nicks.len());
        for id in ids {
            domain::UserId::parse(&id).unwrap();
        }
    }

    #[test]
    fn the_real_logs_are_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/irc");
        let Ok(entries) = std::fs::read_dir(&folder) else {
            eprintln!("SKIPPED: no chat logs at {}", folder.display());
            return;
        };
        for path in
            entries.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|e| e == "txt"))
        {
            let log = Log::parse(&std::fs::read_to_string(&path).unwrap()).unwrap();
            assert!(log.messages() > 1_500 && log.speakers().len() > 150, "{}", path.display());
            assert!(log.steps.is_sorted_by_key(|step| step.at_ms), "{}", path.display());
            eprintln!("{}: {} messages, {} speakers", path.display(), log.messages(), log.speakers().len());
        }
    }
}
