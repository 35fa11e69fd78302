//! Waits until a fleet that was started serves.

use protocol::{admin::NodeStatus, identity::ProgramRole};
use tokio::time::{Duration, Instant, sleep};

use crate::{
    api::Api,
    commands::fleet::process::Process,
    context::Context,
    error::{CommandError, Kind},
};

/// A fleet that is not ready by then has failed to start. Kafka and Cassandra may be starting, too.
const DEADLINE: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);

/// Waits until the control plane knows every node as live and every gateway takes clients.
///
/// Those of its last run look live to a control plane that has only just started; a life that began before `since_ms`
/// does not count.
pub(super) async fn until_ready(processes: &[Process], context: &Context, since_ms: u64) -> Result<(), CommandError> {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let why = match in_the_way(processes, context, since_ms).await {
            None => return Ok(()),
            Some(why) => why,
        };
        if Instant::now() >= deadline {
            let error = CommandError::new(Kind::TimedOut, format!("the fleet is not ready after 60 s: {why}"));
            return Err(error.hint("the logs of its programs say more; `chatctl fleet status -o wide` names them"));
        }
        sleep(LOOK).await;
    }
}

/// Now, as the programs count their lives.
pub(super) fn now_ms() -> u64 {
    u64::try_from(time::OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000).unwrap_or(0)
}

async fn in_the_way(processes: &[Process], context: &Context, since_ms: u64) -> Option<String> {
    let nodes = match Api::new(context) {
        Ok(api) => api.nodes().await,
        Err(error) => return Some(error.to_string()),
    };
    let nodes = match nodes {
        Ok(nodes) => nodes,
        Err(error) => return Some(error.to_string()),
    };
    for process in processes.iter().filter(|process| process.role != ProgramRole::ControlPlane) {
        match nodes.iter().find(|node| node.id == process.name && node.incarnation >= since_ms) {
            Some(node) if node.status == NodeStatus::Live && node.trouble.is_empty() => {}
            Some(node) if !node.trouble.is_empty() => return Some(format!("{}: {}", process.name, node.trouble)),
            _ => return Some(format!("{} has not registered", process.name)),
        }
    }
    None
}
