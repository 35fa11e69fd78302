//! `chatctl audit`.

use clap::Subcommand;
use protocol::admin::AuditEntry;

use crate::{
    error::CommandError,
    output::{Cell, Column, Tabular, Tone, counted, format_ms},
    session::Session,
};

/// Who did what, and why
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
    // Without a verb it lists, and takes what `list` takes.
    #[command(flatten)]
    list: ListArgs,
}

/// What `list` takes.
#[derive(Debug, clap::Args)]
struct ListArgs {
    /// At most this many
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the audit, newest first (the default)
    List(ListArgs),
    /// Check that no entry was changed or taken out
    Verify,
}

impl Tabular for AuditEntry {
    const COLUMNS: &'static [Column] = &[
        Column("SEQ", false),
        Column("TIME", false),
        Column("WHO", false),
        Column("ACTION", false),
        Column("TARGET", false),
        Column("RESULT", false),
        Column("REASON", false),
        Column("ROLE", true),
        Column("BEFORE", true),
        Column("AFTER", true),
        Column("HASH", true),
    ];

    fn row(&self) -> Vec<Cell> {
        let tone = if self.result == "done" { Tone::Good } else { Tone::Bad };
        vec![
            self.seq.into(),
            format_ms(self.at_ms).into(),
            (&self.who).into(),
            (&self.action).into(),
            (&self.target).into(),
            Cell::new(&self.result, tone),
            (&self.reason).into(),
            self.role.into(),
            (&self.before).into(),
            (&self.after).into(),
            self.hash.chars().take(12).collect::<String>().into(),
        ]
    }
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), CommandError> {
    let api = session.api()?;
    match args.verb.unwrap_or(Verb::List(args.list)) {
        Verb::List(ListArgs { limit }) => session.ui.repeat(async || session.ui.list(&api.audit(limit).await?)).await,
        Verb::Verify => {
            let verdict = api.audit_verify().await?;
            let text = format!("{}, head {}", counted(verdict.entries, "entries"), verdict.head);
            session.ui.say(&text, &verdict)?;
            match verdict.broken {
                None => Ok(()),
                Some(broken) => Err(CommandError::failed(format!("the audit was tampered with: {broken}"))),
            }
        }
    }
}
