//! What a swarm shows: a bar while it runs on a terminal, lines of JSON for programs; at the end figures and a verdict.

use std::{fmt::Write as _, future::Future, time::Duration};

use client::swarm::{Outcome, Progress};
use serde::Serialize;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use crate::{
    error::CommandError,
    output::{self, Format, Ui, counted, thousands},
};

/// Between two lines where no bar has a place.
const LINE_INTERVAL: Duration = Duration::from_secs(5);
/// Violations told in words.
const VIOLATIONS_SHOWN: usize = 10;

/// One line of `-o json`: so many with progress, then one with the outcome.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line<'a> {
    Progress(&'a Progress),
    Outcome(&'a Outcome),
}

/// Does the work, and shows its progress beside it.
pub(super) async fn beside<T>(
    ui: &Ui,
    phase: &str,
    watched: watch::Receiver<Progress>,
    work: impl Future<Output = T>,
) -> Result<T, CommandError> {
    tokio::select! {
        biased;
        done = work => Ok(done),
        error = follow(ui, phase, watched) => Err(error),
    }
}

/// Shows progress for ever; ends only when it cannot print.
async fn follow(ui: &Ui, phase: &str, mut watched: watch::Receiver<Progress>) -> CommandError {
    let bar = ui.has_progress().then(|| output::Progress::new(ui));
    let mut next_line = Instant::now() + LINE_INTERVAL;
    loop {
        if watched.changed().await.is_err() {
            // The swarm is judging; there is nothing to show any more.
            sleep(Duration::MAX).await;
        }
        let progress = *watched.borrow_and_update();
        let shown = match (&bar, ui.format()) {
            (Some(bar), _) => {
                bar.step(phase, progress.accepted, progress.to_send.unwrap_or(progress.sent), &words(&progress), &())
            }
            (None, Format::Json) => ui.line("", &Line::Progress(&progress)),
            (None, _) if Instant::now() >= next_line => {
                next_line = Instant::now() + LINE_INTERVAL;
                ui.note(&format!("{phase}: {}", words(&progress)));
                Ok(())
            }
            _ => Ok(()),
        };
        if let Err(error) = shown {
            return error;
        }
    }
}

fn words(progress: &Progress) -> String {
    let Progress { connected, clients, accepted, delivered, latency, seconds, .. } = progress;
    format!(
        "{connected}/{clients} connected, {} accepted, {} delivered, p99 {} ms, {seconds:.0} s",
        thousands(*accepted),
        thousands(*delivered),
        latency.p99_ms,
    )
}

/// Prints the figures, then the verdict; an error unless the checker holds.
pub(super) fn outcome(ui: &Ui, outcome: &Outcome) -> Result<(), CommandError> {
    match ui.format() {
        Format::Json => ui.line("", &Line::Outcome(outcome))?,
        format => ui.say(&figures(outcome, format == Format::Wide), outcome)?,
    }
    for violation in outcome.violations.iter().take(VIOLATIONS_SHOWN) {
        ui.note(&violation.to_string());
    }
    if outcome.violations_total > VIOLATIONS_SHOWN as u64 && !outcome.violations.is_empty() {
        ui.note(&format!("and {} more", outcome.violations_total - VIOLATIONS_SHOWN as u64));
    }
    if outcome.holds {
        ui.note("The checker holds: nothing lost, nothing shown twice, nothing out of order.");
        return Ok(());
    }
    let mut wrong = Vec::new();
    if outcome.violations_total > 0 {
        wrong.push(format!("{} violations", thousands(outcome.violations_total)));
    }
    if outcome.cancelled {
        wrong.push("it was ended early, so nothing is said about losses".to_owned());
    }
    if outcome.unanswered > 0 && !outcome.cancelled {
        wrong.push(format!("never answered: {}", counted(outcome.unanswered, "messages")));
    }
    Err(CommandError::failed(format!("the checker does not hold: {}", wrong.join("; "))))
}

fn figures(outcome: &Outcome, is_wide: bool) -> String {
    let count = thousands;
    let ms = |ms: u64| format!("{} ms", thousands(ms));
    let mut rows = vec![
        ("sent", count(outcome.sent), "latency p50", ms(outcome.latency.p50_ms)),
        ("accepted", count(outcome.accepted), "latency p99", ms(outcome.latency.p99_ms)),
        ("delivered", count(outcome.delivered), "latency max", ms(outcome.latency.max_ms)),
        ("lost", count(outcome.lost), "messages/s", count(outcome.messages_per_s.round() as u64)),
        ("shown twice", count(outcome.shown_twice), "deliveries/s", count(outcome.deliveries_per_s.round() as u64)),
        ("out of order", count(outcome.out_of_order), "seconds", format!("{:.1}", outcome.seconds)),
    ];
    if is_wide || outcome.refused + outcome.unanswered + outcome.stopped > 0 {
        rows.extend([
            ("refused", count(outcome.refused), "accepted p50", ms(outcome.accept_latency.p50_ms)),
            ("unanswered", count(outcome.unanswered), "accepted p99", ms(outcome.accept_latency.p99_ms)),
            ("clients", count(outcome.clients as u64), "accepted max", ms(outcome.accept_latency.max_ms)),
            ("stopped", count(outcome.stopped), "reconnects", count(outcome.reconnects)),
        ]);
    }
    let mut text = String::new();
    for (left, number, right, figure) in rows {
        let _ = writeln!(text, "{left:<14}{number:>10}     {right:<14}{figure:>10}");
    }
    text
}
