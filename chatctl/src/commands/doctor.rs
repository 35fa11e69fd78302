//! `chatctl doctor`: everything a newcomer gets wrong, and what an SRE forgets, each with its mend.

use protocol::admin::{NodeStatus, Role};
use serde::Serialize;
use tokio::time::{Duration, timeout};

use crate::{
    api::Api,
    context::{Context, ContextFile},
    error::CommandError,
    output::{Cell, Column, Tabular, Tone, counted},
    session::Session,
};

/// Open files below which a gateway takes few clients.
const FILES_MIN: u64 = 10_000;
/// A gateway may take so long to answer.
const ANSWER: Duration = Duration::from_secs(3);

/// Check everything that is easily wrong, and say how to mend it
#[derive(Debug, clap::Args)]
pub struct Args {}

/// What a check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Good,
    Look,
    Wrong,
}

/// A check.
#[derive(Debug, Serialize)]
struct Check {
    what: String,
    verdict: Verdict,
    found: String,
    mend: String,
}

impl Tabular for Check {
    const COLUMNS: &'static [Column] =
        &[Column("CHECK", false), Column("IS", false), Column("FOUND", false), Column("MEND", false)];

    fn row(&self) -> Vec<Cell> {
        let (word, tone) = match self.verdict {
            Verdict::Good => ("good", Tone::Good),
            Verdict::Look => ("look", Tone::Busy),
            Verdict::Wrong => ("WRONG", Tone::Bad),
        };
        vec![(&self.what).into(), Cell::new(word, tone), (&self.found).into(), (&self.mend).into()]
    }
}

fn check(what: &str, verdict: Verdict, found: impl ToString, mend: &str) -> Check {
    let mend = if verdict == Verdict::Good { "" } else { mend };
    Check { what: what.to_owned(), verdict, found: found.to_string(), mend: mend.to_owned() }
}

pub(super) async fn run(session: &Session, _: Args) -> Result<(), CommandError> {
    let mut checks = vec![files()];
    match session.context() {
        Err(error) => {
            let mend =
                error.hint.clone().unwrap_or_else(|| "chatctl dev starts a fleet and makes a context".to_owned());
            checks.push(check("context", Verdict::Wrong, &error, &mend));
        }
        Ok((name, context)) => {
            checks.push(check("context", Verdict::Good, format!("{name}: {}", context.control_plane), ""));
            checks.extend(token_file());
            fleet(&context, &mut checks).await;
        }
    }
    session.ui.list(&checks)?;
    let wrong = checks.iter().filter(|check| check.verdict == Verdict::Wrong);
    let wrong: Vec<_> = wrong.map(|check| check.what.as_str()).collect();
    if wrong.is_empty() { Ok(()) } else { Err(CommandError::failed(format!("wrong: {}", wrong.join(", ")))) }
}

fn files() -> Check {
    let (soft, hard) = rlimit::getrlimit(rlimit::Resource::NOFILE).unwrap_or((0, 0));
    let verdict = if hard >= FILES_MIN { Verdict::Good } else { Verdict::Look };
    let mend = "raise the hard limit (ulimit -Hn, LimitNOFILE=): a gateway needs a file for each client";
    check("open files", verdict, format!("{soft} now, {hard} at most"), mend)
}

/// The file of contexts holds secrets.
fn token_file() -> Option<Check> {
    use std::os::unix::fs::PermissionsExt as _;
    let path = ContextFile::path().ok()?;
    let mode = std::fs::metadata(&path).ok()?.permissions().mode() & 0o777;
    let verdict = if mode & 0o077 == 0 { Verdict::Good } else { Verdict::Wrong };
    let mend = format!("chmod 600 {}", path.display());
    Some(check("secrets of contexts", verdict, format!("mode {mode:o}"), &mend))
}

async fn fleet(context: &Context, checks: &mut Vec<Check>) {
    let api = match Api::new(context) {
        Ok(api) => api,
        Err(error) => return checks.push(check("control plane", Verdict::Wrong, error, "see chatctl context show")),
    };
    let who = match api.whoami().await {
        Ok(who) => who,
        Err(error) => {
            let mend = error.hint.clone().unwrap_or_else(|| "is it running? chatctl dev starts one".to_owned());
            return checks.push(check("control plane", Verdict::Wrong, &error, &mend));
        }
    };
    let role = if who.role == Role::Viewer { Verdict::Look } else { Verdict::Good };
    let mend = "you may only look: an admin makes a token that may steer: chatctl token create";
    checks.push(check("control plane", role, format!("answers {} as {}", who.name, who.role), mend));
    if let Some(expires_ms) = who.expires_ms {
        let left_h = expires_ms.saturating_sub(now_ms()) / 3_600_000;
        let verdict = if left_h < 24 { Verdict::Look } else { Verdict::Good };
        checks.push(check("token", verdict, format!("ends in {left_h} h"), "ask an admin for a new one"));
    }
    nodes(&api, checks).await;
    gateways(&api, checks).await;
    state(&api, checks).await;
    audit(&api, checks).await;
}

fn now_ms() -> u64 {
    let nanos = time::OffsetDateTime::now_utc().unix_timestamp_nanos();
    u64::try_from(nanos / 1_000_000).unwrap_or(0)
}

async fn nodes(api: &Api, checks: &mut Vec<Check>) {
    let nodes = match api.nodes().await {
        Ok(nodes) => nodes,
        Err(error) => return checks.push(check("nodes", Verdict::Wrong, error, "look at the control plane's log")),
    };
    let lost: Vec<_> =
        nodes.iter().filter(|node| node.status == NodeStatus::Lost).map(|node| node.id.clone()).collect();
    let (verdict, found) = match (nodes.is_empty(), lost.is_empty()) {
        (true, _) => (Verdict::Wrong, "none has registered".to_owned()),
        (_, false) => (Verdict::Wrong, format!("lost: {}", lost.join(", "))),
        (_, true) => (Verdict::Good, format!("{} live", nodes.len())),
    };
    checks.push(check("nodes", verdict, found, "start them, or look at their logs; do they dial this control plane?"));
    for node in nodes.iter().filter(|node| !node.trouble.is_empty()) {
        checks.push(check(
            &node.id,
            Verdict::Wrong,
            &node.trouble,
            "bring that store back; chatctl breaker list shows more",
        ));
    }
    for node in nodes.iter().filter(|node| node.nack.is_some()) {
        let why = node.nack.as_ref().map(|nack| nack.reason.clone()).unwrap_or_default();
        checks.push(check(
            &node.id,
            Verdict::Look,
            format!("refused a desired state: {why}"),
            "chatctl override list --all",
        ));
    }
    let versions: std::collections::BTreeSet<_> = nodes.iter().map(|node| node.software.clone()).collect();
    let verdict = if versions.len() > 1 { Verdict::Look } else { Verdict::Good };
    let found = versions.into_iter().collect::<Vec<_>>().join(", ");
    checks.push(check("software", verdict, found, "a rollout is not finished: chatctl rollout restart"));
}

/// Whether this machine reaches what clients are told to reach.
async fn gateways(api: &Api, checks: &mut Vec<Check>) {
    let Ok(gateways) = api.gateways().await else { return };
    if gateways.len() == 1 {
        let mend = "add another: a single gateway can be neither drained nor restarted unnoticed";
        checks.push(check("gateways", Verdict::Look, "there is one", mend));
    }
    for gateway in gateways.iter().filter(|gateway| gateway.status == NodeStatus::Live) {
        let url = format!("{}/healthz", gateway.http_url);
        let verdict = match timeout(ANSWER, api.client().get(&url).send()).await {
            Ok(Ok(response)) if response.status().is_success() => Verdict::Good,
            _ => Verdict::Look,
        };
        let mend = "not from here: is its advertised address reachable, or is it behind a load balancer?";
        checks.push(check(&format!("reach {}", gateway.id), verdict, &gateway.http_url, mend));
    }
}

async fn state(api: &Api, checks: &mut Vec<Check>) {
    if let Ok(consistency) = api.consistency().await {
        let down: Vec<_> =
            consistency.store_nodes.iter().filter(|node| !node.up).map(|node| node.name.clone()).collect();
        let (verdict, found) = match (down.is_empty(), consistency.level.as_str()) {
            (false, _) => (Verdict::Wrong, format!("down: {}", down.join(", "))),
            (true, "ONE") => (Verdict::Look, "consistency is ONE".to_owned()),
            (true, _) => {
                (Verdict::Good, format!("{}, LOCAL_QUORUM", counted(consistency.store_nodes.len() as u64, "nodes")))
            }
        };
        checks.push(check("message store", verdict, found, "see chatctl consistency show"));
        if consistency.store_nodes.len() == 1 && consistency.store_nodes[0].name != "embedded" {
            let mend = "one node must sync its commit log in batches, or it forgets what it acknowledged when killed; \
                        three nodes are for production";
            checks.push(check("store replicas", Verdict::Look, "one", mend));
        }
    }
    if let Ok(overrides) = api.overrides(false).await {
        let faults = overrides.iter().filter(|one| one.lever.is_fault()).count();
        let verdict = if faults > 0 { Verdict::Wrong } else { Verdict::Good };
        checks.push(check("injected faults", verdict, format!("{faults} in force"), "chatctl fault clear"));
    }
    if let Ok(incidents) = api.incidents(false).await {
        let verdict = if incidents.is_empty() { Verdict::Good } else { Verdict::Wrong };
        checks.push(check("incidents", verdict, format!("{} not resolved", incidents.len()), "chatctl incident list"));
    }
}

async fn audit(api: &Api, checks: &mut Vec<Check>) {
    match api.audit_verify().await {
        Ok(verdict) if verdict.intact => {
            checks.push(check("audit", Verdict::Good, format!("intact, {}", counted(verdict.entries, "lines")), ""));
        }
        Ok(verdict) => {
            let found = verdict.broken.unwrap_or_else(|| "broken".to_owned());
            checks.push(check(
                "audit",
                Verdict::Wrong,
                found,
                "somebody changed the control plane's store: keep a copy of it",
            ));
        }
        Err(error) => checks.push(check("audit", Verdict::Look, error, "ask again later")),
    }
}
