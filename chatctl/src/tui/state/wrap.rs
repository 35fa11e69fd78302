//! Text cut into lines of a width.

/// Cuts a line at spaces, or anywhere when there is none.
pub(super) fn wrap(line: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut rest: Vec<char> = line.chars().collect();
    let mut lines = Vec::new();
    while rest.len() > width {
        let space = rest[..=width].iter().rposition(|c| *c == ' ').filter(|at| *at > width / 2);
        let tail = rest.split_off(space.unwrap_or(width));
        lines.push(rest.into_iter().collect());
        rest = tail.into_iter().skip(usize::from(space.is_some())).collect();
    }
    lines.push(rest.into_iter().collect());
    lines
}

/// Cuts a line that may be indented; what goes on below is indented further.
pub(super) fn hang(line: &str, width: usize) -> Vec<String> {
    let indent = line.chars().take_while(|c| *c == ' ').count();
    let below = if indent == 0 { 0 } else { indent + 2 };
    let parts = wrap(line.trim_start(), width.saturating_sub(below));
    let indents = std::iter::once(indent).chain(std::iter::repeat(below));
    parts.into_iter().zip(indents).map(|(part, indent)| format!("{:indent$}{part}", "")).collect()
}
