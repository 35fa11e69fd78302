//! The golden files: read, compared, written anew.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

/// Which files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// A fleet in one process.
    Dev,
    /// A fleet of processes on the real stack: it has files of its own where it says something else than dev.
    Fleet,
}

impl Place {
    fn folder(self) -> PathBuf {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        golden.join(if self == Self::Dev { "dev" } else { "fleet" })
    }

    fn file(self, name: &str) -> PathBuf {
        self.folder().join(format!("{name}.txt"))
    }
}

/// Compares what a scene said with its file, or writes the file when `CHATCTL_GOLDEN=write` asks for it.
pub(super) fn compare(place: Place, name: &str, said: &str) -> Result<(), String> {
    let own = place.file(name);
    let dev = fs::read_to_string(Place::Dev.file(name)).ok();
    if std::env::var("CHATCTL_GOLDEN").is_ok_and(|value| value == "write") {
        return match place == Place::Fleet && dev.as_deref() == Some(said) {
            true if own.exists() => fs::remove_file(&own),
            true => Ok(()),
            false => fs::create_dir_all(place.folder()).and_then(|()| fs::write(&own, said)),
        }
        .map_err(|error| format!("{}: {error}", own.display()));
    }
    let golden = fs::read_to_string(&own).ok().or(dev).unwrap_or_default();
    if golden == said { Ok(()) } else { Err(format!("--- {}\n{}", own.display(), difference(&golden, said))) }
}

/// Files of scenes that are no more.
pub(super) fn strays<'a>(place: Place, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let known: Vec<PathBuf> = names.map(|name| place.file(name)).collect();
    let entries = fs::read_dir(place.folder()).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| !known.contains(path)).map(|path| format!("no scene writes {}", path.display())).collect()
}

/// Lines that differ, `-` golden and `+` said, each run of them under the command that it belongs to.
fn difference(golden: &str, said: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (golden.lines().collect(), said.lines().collect());
    // The longest common part, from the end.
    let mut common = vec![vec![0_usize; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] = match old[i] == new[j] {
                true => common[i + 1][j + 1] + 1,
                false => common[i + 1][j].max(common[i][j + 1]),
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let (mut text, mut command, mut shown) = (String::new(), "", "");
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            if new[j].starts_with("$ ") {
                command = new[j];
            }
            (i, j) = (i + 1, j + 1);
            continue;
        }
        if shown != command {
            let _ = writeln!(text, "  {command}");
            shown = command;
        }
        if j == new.len() || (i < old.len() && common[i + 1][j] >= common[i][j + 1]) {
            let _ = writeln!(text, "- {}", old[i]);
            i += 1;
        } else {
            let _ = writeln!(text, "+ {}", new[j]);
            j += 1;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_differences_are_shown_under_their_command() {
        let golden = "$ chatctl a\n1\nexit 0\n\n$ chatctl b\n2\n3\nexit 0\n";
        let said = "$ chatctl a\n1\nexit 0\n\n$ chatctl b\n2\n4\nexit 1\n";
        assert_eq!(difference(golden, said), "  $ chatctl b\n- 3\n- exit 0\n+ 4\n+ exit 1\n");
        assert_eq!(difference(golden, golden), "");
    }
}
