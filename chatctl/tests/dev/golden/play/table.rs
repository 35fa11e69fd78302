//! Tables: read by their heads, so that a cell that stands under the wrong head is seen, and drawn again at the widths that
//! the normalised cells need.

use super::normal::Normal;

/// Columns whose values differ between runs.
const VARYING: &[&str] = &[
    "ACKED",
    "ACCEPTED",
    "AT QUORUM",
    "BEHIND",
    "CALLS",
    "CANARIES",
    "CAPACITY",
    "COMMITTED",
    "DELIVERED",
    "DESIRED",
    "END",
    "ERRORS",
    "FANOUT",
    "HASH",
    "INCARNATION",
    "LAG",
    "LEFT",
    "P99",
    "PARTITIONS",
    "READ",
    "RECORDS",
    "SEQ",
    "SPANS",
    "VALUE",
    "VERSION",
];

/// A text with its tables, normalised.
pub(super) fn normal(text: &str, normal: &Normal) -> String {
    let mut done = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(starts) = head(line) else {
            let line = normal.line(line);
            // Progress is told as it is seen: how often depends on how fast that was.
            if !done.ends_with(&format!("\n{line}\n")) && done != format!("{line}\n") {
                done += line.trim_end();
                done.push('\n');
            }
            continue;
        };
        let heads = cells(line, &starts).unwrap_or_default();
        let mut rows = vec![heads.clone()];
        while let Some(row) = lines.peek().and_then(|line| cells(line, &starts)) {
            let cell = |(head, cell): (&String, &String)| match VARYING.contains(&head.as_str()) {
                true if cell != "-" => "~".to_owned(),
                _ => normal.line(cell),
            };
            rows.push(heads.iter().zip(&row).map(cell).collect());
            lines.next();
        }
        done += &draw(&rows);
    }
    done
}

/// Where the columns begin, when this is the head of a table.
fn head(line: &str) -> Option<Vec<usize>> {
    let is_head = |c: char| c.is_ascii_uppercase() || " /0123456789".contains(c);
    if !line.starts_with(|c: char| c.is_ascii_uppercase()) || !line.chars().all(is_head) {
        return None;
    }
    let line: Vec<char> = line.chars().collect();
    let begins = |at: &usize| line[*at] != ' ' && (*at == 0 || (*at > 1 && line[at - 1] == ' ' && line[at - 2] == ' '));
    Some((0..line.len()).filter(begins).collect())
}

/// The cells of a row; none when the line is no row: two spaces stand before each column.
fn cells(line: &str, starts: &[usize]) -> Option<Vec<String>> {
    let line: Vec<char> = line.chars().collect();
    let is_apart = |start: &usize| *start == 0 || (line.len() > *start && line[start - 2..*start] == [' ', ' ']);
    if line.is_empty() || !starts.iter().all(is_apart) {
        return None;
    }
    let ends = starts.iter().skip(1).copied().chain([line.len()]);
    let cell = |(start, end): (&usize, usize)| line[*start..end].iter().collect::<String>().trim_end().to_owned();
    let cells: Vec<String> = starts.iter().zip(ends).map(cell).collect();
    // A cell is never empty, nor does it begin with a space.
    cells.iter().all(|cell| !cell.is_empty() && !cell.starts_with(' ')).then_some(cells)
}

fn draw(rows: &[Vec<String>]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    let cell = |(cell, width): (&String, &usize)| format!("{cell:<width$}");
    let line = |row: &Vec<String>| {
        let cells: Vec<_> = row.iter().zip(&widths).map(cell).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_tables_do_not_depend_on_what_varies() {
        let text = |calls: &str, id: &str| {
            format!(
                "BREAKER   CALLS    SET BY  OVERRIDE\npresence  {calls:<7}  auto    {id}\nlog       -        auto    -\nwith 3 KB, more\n"
            )
        };
        let normal = |text: &str| super::normal(text, &Normal::new(&[]));
        let shown = "BREAKER   CALLS  SET BY  OVERRIDE\npresence  ~      auto    ov-ID\nlog       -      auto    -\nwith N KB, more\n";
        assert_eq!(normal(&text("12", "ov-1-12ab")), shown);
        assert_eq!(normal(&text("1234567", "ov-12-0000")), shown);
        // What does not stand under its head is no row.
        let crooked = "NODE  ROLE\ngateway-1 gateway\n";
        assert_eq!(normal(crooked), crooked);
    }
}
