//! `chatctl fleet status`: whether each program runs, and where its log is.

use std::path::PathBuf;

use protocol::identity::ProgramRole;
use serde::Serialize;

use super::{counts::Counts, growth::Growth, place::Place, plan::Plan, process::program};
use crate::{
    error::CommandError,
    output::{Cell, Column, Tabular, Tone},
};

/// A program of a fleet.
#[derive(Debug, Serialize)]
pub(super) struct ProcessStatus {
    name: String,
    program: &'static str,
    state: &'static str,
    pid: Option<u32>,
    log: PathBuf,
}

impl Tabular for ProcessStatus {
    const COLUMNS: &'static [Column] = &[
        Column("NAME", false),
        Column("PROGRAM", false),
        Column("STATE", false),
        Column("PID", false),
        Column("LOG", true),
    ];

    fn row(&self) -> Vec<Cell> {
        let tone = if self.pid.is_some() { Tone::Good } else { Tone::Bad };
        let pid = self.pid.map_or_else(String::new, |pid| pid.to_string());
        vec![
            (&self.name).into(),
            self.program.into(),
            Cell::new(self.state, tone),
            pid.into(),
            self.log.display().to_string().into(),
        ]
    }
}

/// The programs of the file, then those that were added or are on their way out.
pub(super) fn status(plan: &Plan) -> Result<Vec<ProcessStatus>, CommandError> {
    let place = Place::of(plan)?;
    let counts = Counts::read(&place)?;
    let of = |name: &str, role: ProgramRole, is_wanted: bool| {
        let pid = place.pid(name);
        let state = match pid {
            Some(_) if is_wanted => "running",
            Some(_) => "stopping",
            None => "down",
        };
        ProcessStatus { name: name.to_owned(), program: program(role), state, pid, log: place.log(name) }
    };
    let of_file = plan.processes.iter().map(|process| of(&process.name, process.role, true));
    let added = |growth: &Growth| {
        let wanted = counts.of(growth.role);
        let all = growth.all_names().zip(1..).map(|(name, n)| (of(&name, growth.role, n <= wanted), n <= wanted));
        all.filter(|(one, is_wanted)| *is_wanted || one.pid.is_some()).map(|(one, _)| one).collect::<Vec<_>>()
    };
    Ok(of_file.chain(plan.growths.iter().flat_map(added)).collect())
}
