//! `chatctl lag`.

use protocol::admin::Lag;

use crate::{
    error::CommandError,
    output::{Cell, Column, Tabular, Tone, thousands},
    session::Session,
};

/// Where storing stands: by partition, what is read and what is stored at quorum
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only partitions that are behind
    #[arg(long)]
    behind: bool,
}

impl Tabular for Lag {
    const COLUMNS: &'static [Column] = &[
        Column("LANE", false),
        Column("PARTITION", false),
        Column("STORED BY", false),
        Column("END", false),
        Column("READ", false),
        Column("COMMITTED", false),
        Column("BEHIND", false),
        Column("WINDOW", false),
    ];

    fn row(&self) -> Vec<Cell> {
        let behind = self.end.saturating_sub(self.committed);
        vec![
            (&self.lane).into(),
            self.partition.into(),
            (&self.node).into(),
            thousands(self.end).into(),
            thousands(self.read).into(),
            thousands(self.committed).into(),
            Cell::new(thousands(behind), if behind == 0 { Tone::Good } else { Tone::Busy }),
            self.window.clone().unwrap_or_default().into(),
        ]
    }
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), CommandError> {
    let api = session.api()?;
    session
        .ui
        .repeat(async || {
            let mut lags = api.lag().await?;
            lags.retain(|lag| !args.behind || lag.end > lag.committed);
            session.ui.list(&lags)
        })
        .await
}
