//! `If-Match`: a change that is meant for one revision of a thing is refused when the thing has changed since.

use axum::http::{HeaderMap, header::IF_MATCH};
use protocol::admin::ProblemCode;

use super::problem::Refusal;
use crate::app::App;

/// Checks the header, if there is one, against the thing that the path names.
pub(super) async fn check(app: &App, path: &str, headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(value) = headers.get(IF_MATCH) else { return Ok(()) };
    let wanted = value.to_str().ok().and_then(|text| text.trim().trim_matches('"').parse::<u64>().ok());
    let Some(wanted) = wanted else {
        return Err(Refusal::new(ProblemCode::Invalid, "If-Match: must be a revision, as `revision` shows it"));
    };
    let mut segments = path.split('/').skip(2);
    let (kind, id) = (segments.next().unwrap_or_default(), segments.next().unwrap_or_default());
    let now = match kind {
        "operations" => app.operation(id).await?.revision,
        "overrides" => app.override_(id).await?.revision,
        "incidents" => app.incident(id).await?.revision,
        _ => {
            let why = "If-Match: what this path names has no revision";
            return Err(Refusal::new(ProblemCode::Invalid, why).hint("operations, overrides and incidents have one"));
        }
    };
    if now == wanted {
        return Ok(());
    }
    let why = format!("{id} is at revision {now}, not {wanted}: it changed since you looked");
    Err(Refusal::new(ProblemCode::PreconditionFailed, why).hint("look again, then decide again"))
}
