//! The runbooks that there are, and what is wrong with one.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::{
    error::CommandError,
    output::{Cell, Column, Tabular, counted},
    runbook::{self, Runbook},
    session::Session,
};

/// A runbook as a list shows it.
#[derive(Debug, Serialize)]
struct Listed {
    id: String,
    title: String,
    fires_on: String,
    role: String,
    params: Vec<String>,
}

impl Tabular for Listed {
    const COLUMNS: &'static [Column] = &[
        Column("RUNBOOK", false),
        Column("TITLE", false),
        Column("FIRES ON", false),
        Column("ROLE", false),
        Column("PARAMS", false),
    ];

    fn row(&self) -> Vec<Cell> {
        vec![
            (&self.id).into(),
            (&self.title).into(),
            (&self.fires_on).into(),
            (&self.role).into(),
            self.params.join(", ").into(),
        ]
    }
}

pub(super) fn list(session: &Session) -> Result<(), CommandError> {
    let listed = |runbook: Runbook| Listed {
        id: runbook.id,
        title: runbook.title,
        fires_on: runbook.fires_on.unwrap_or_default(),
        role: runbook.role.to_string(),
        params: runbook.params.into_keys().collect(),
    };
    session.ui.list(&runbook::all().into_iter().map(listed).collect::<Vec<_>>())
}

pub(super) fn lint(session: &Session, files: &[PathBuf]) -> Result<(), CommandError> {
    let mut faults = Vec::new();
    let mut runbooks = Vec::new();
    for path in files {
        match read(path) {
            Ok(runbook) => runbooks.push((path.display().to_string(), runbook)),
            Err(error) => faults.push(error.to_string()),
        }
    }
    if files.is_empty() {
        runbooks = runbook::all().into_iter().map(|runbook| (runbook.id.clone(), runbook)).collect();
    }
    for (name, runbook) in &runbooks {
        faults.extend(runbook::lint(runbook).into_iter().map(|fault| format!("{name}: {fault}")));
    }
    if faults.is_empty() {
        return session
            .ui
            .say(&format!("{} runbooks are well", runbooks.len()), &serde_json::json!({ "faults": faults }));
    }
    session.ui.say(&faults.join("\n"), &serde_json::json!({ "faults": faults }))?;
    Err(CommandError::failed(counted(faults.len() as u64, "faults")))
}

/// A runbook from a file.
pub(super) fn read(path: &Path) -> Result<Runbook, CommandError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| CommandError::usage(format!("cannot read {}: {error}", path.display())))?;
    runbook::parse(&text).map_err(|why| CommandError::usage(format!("{}: {why}", path.display())))
}
