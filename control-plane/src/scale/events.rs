//! Events: scales the fleet ahead of each, and back after the last one. What failed is tried again: on the way up while
//! the event lasts, on the way back until it is done or somebody removes the event.

use protocol::admin::{EventState, OperationState, PrescaleRequest, Role, ScaleEvent};

use super::prescale_detail;
use crate::{
    app::{
        Actor, App,
        capacity::{read_event, write_event},
    },
    error::AppError,
    store::{Document, DocumentKind, StoreError},
};

/// Before an event whose fleet could not be scaled is tried again, ms. Each try is a line of the audit.
const TRY_AGAIN_MS: u64 = 60_000;

/// How far the way back from an event is.
enum Back {
    NotBegun,
    UnderWay,
    /// Why its operation failed, and when.
    Failed(String, u64),
    Done,
}

/// Events whose time has come, or is over.
pub(super) async fn pass(app: &App) -> Result<(), AppError> {
    let documents = app.store.documents(DocumentKind::Event, false, u64::MAX, 200).await?;
    let mut scaled = 0;
    for document in &documents {
        scaled += usize::from(read_event(document)?.state == EventState::Scaled);
    }
    for document in documents {
        let mut event = read_event(&document)?;
        let now_ms = app.clock.now_ms();
        if event.state == EventState::Scaled
            && now_ms < event.ends_ms
            && let Some(why) = failure(app, &event).await?
        {
            scaled -= 1;
            event.state = EventState::Planned;
            event.scales_ms = now_ms + TRY_AGAIN_MS;
            event.trouble = Some(why);
            keep(app, &event, &document).await?;
            continue;
        }
        let factor = match event.state {
            EventState::Planned if now_ms >= event.scales_ms && now_ms < event.ends_ms => Some(event.factor),
            EventState::Scaled if now_ms >= event.ends_ms && scaled > 1 => {
                // Another one goes on with what there is; the last one goes back.
                scaled -= 1;
                event.state = EventState::Over;
                keep(app, &event, &document).await?;
                continue;
            }
            EventState::Scaled if now_ms >= event.ends_ms => match back(app, &event).await? {
                Back::NotBegun => None,
                Back::UnderWay => continue,
                Back::Failed(why, _) if event.trouble.is_none() => {
                    event.trouble = Some(why);
                    keep(app, &event, &document).await?;
                    continue;
                }
                Back::Failed(_, at_ms) if now_ms < at_ms + TRY_AGAIN_MS => continue,
                Back::Failed(..) => None,
                Back::Done => {
                    event.state = EventState::Over;
                    keep(app, &event, &document).await?;
                    continue;
                }
            },
            EventState::Planned if now_ms >= event.ends_ms => {
                event.state = EventState::Over;
                keep(app, &event, &document).await?;
                continue;
            }
            _ => continue,
        };
        let reason = format!("event {}", event.name);
        let actor = Actor::new(&event.who, Role::Operator);
        match app.prescale(&actor, &PrescaleRequest { factor, reason }).await {
            Ok(operation) => {
                event.operation = Some(operation.now.id);
                event.trouble = None;
                // Also on the way back: it is over once that has succeeded.
                event.state = EventState::Scaled;
            }
            // One that is running is waited for.
            Err(AppError::Busy { .. }) => continue,
            // The store is away for a moment: the next pass tries again, or the fleet would stay as it is.
            Err(AppError::Store(error)) if factor.is_none() && !matches!(error, StoreError::Corrupt(_)) => {
                return Err(error.into());
            }
            Err(error) => {
                tracing::error!(%error, event = event.name, "the fleet is not scaled for an event");
                event.trouble = Some(error.to_string());
                match factor {
                    // While it lasts it is tried again.
                    Some(_) => event.scales_ms = now_ms + TRY_AGAIN_MS,
                    // Another try would be refused as well: somebody has to look at it.
                    None => event.state = EventState::Over,
                }
            }
        }
        keep(app, &event, &document).await?;
    }
    Ok(())
}

/// Writes down what became of an event.
async fn keep(app: &App, event: &ScaleEvent, document: &Document) -> Result<(), AppError> {
    Ok(app.store.commit(vec![write_event(event, document.number, document.revision + 1)?]).await?)
}

/// Why the fleet is not scaled for an event after all, if its operation failed.
async fn failure(app: &App, event: &ScaleEvent) -> Result<Option<String>, AppError> {
    let Some(id) = &event.operation else { return Ok(None) };
    match app.operation(id).await {
        Ok(operation) if operation.state == OperationState::Failed => {
            Ok(Some(operation.error.unwrap_or_else(|| format!("{id} failed"))))
        }
        // One that is forgotten by now ended long ago.
        Ok(_) | Err(AppError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// How far the fleet is on its way back from an event that has ended.
async fn back(app: &App, event: &ScaleEvent) -> Result<Back, AppError> {
    let Some(id) = &event.operation else { return Ok(Back::NotBegun) };
    let operation = match app.operation(id).await {
        Ok(operation) => operation,
        // One that is forgotten by now ended long ago.
        Err(AppError::NotFound { .. }) => return Ok(Back::NotBegun),
        Err(error) => return Err(error),
    };
    // The one that scaled up for it.
    if !prescale_detail(&operation)?.is_down {
        return Ok(Back::NotBegun);
    }
    Ok(match operation.state {
        OperationState::Running | OperationState::Cancelling => Back::UnderWay,
        OperationState::Failed => {
            let why = operation.error.unwrap_or_else(|| format!("{id} failed"));
            Back::Failed(why, operation.ended_ms.unwrap_or(operation.updated_ms))
        }
        // Whoever cancelled it wants the fleet as it is.
        OperationState::Succeeded | OperationState::Cancelled => Back::Done,
    })
}
