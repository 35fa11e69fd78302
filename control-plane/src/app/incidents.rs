//! Incidents: looking at them, taking them, resolving them by hand. [`crate::detect`] opens them.

use protocol::admin::{Changed, Incident, IncidentState, Mode, Page, Role};

use super::{Actor, App, audit::Deed, check_limit, check_reason};
use crate::{
    error::AppError,
    store::{Change, Document, DocumentKind, StoreError},
};

/// Incidents read from the store at once.
const READ_AT_ONCE: usize = 500;

impl App {
    /// Newest first: those that are not resolved, or all.
    pub async fn incidents(
        &self,
        all: bool,
        before: Option<u64>,
        limit: Option<usize>,
    ) -> Result<Page<Incident>, AppError> {
        let limit = check_limit(limit)?;
        let documents = self.store.documents(DocumentKind::Incident, all, before.unwrap_or(u64::MAX), limit).await?;
        let next = documents.last().filter(|last| documents.len() == limit && last.number > 1).map(|last| last.number);
        Ok(Page { items: documents.iter().map(read).collect::<Result<_, _>>()?, next })
    }

    /// Those of one failure mode, newest first.
    pub async fn incidents_of(
        &self,
        mode: Mode,
        all: bool,
        mut before: Option<u64>,
        limit: Option<usize>,
    ) -> Result<Page<Incident>, AppError> {
        let limit = check_limit(limit)?;
        let mut items = Vec::new();
        loop {
            let page = self.incidents(all, before, Some(READ_AT_ONCE)).await?;
            before = page.next;
            items.extend(page.items.into_iter().filter(|incident| incident.mode == mode));
            if items.len() > limit {
                items.truncate(limit);
                let next = items.last().map(|last| last.number);
                return Ok(Page { items, next });
            }
            if before.is_none() {
                return Ok(Page { items, next: None });
            }
        }
    }

    /// One incident.
    pub async fn incident(&self, id: &str) -> Result<Incident, AppError> {
        let found = self.store.document(DocumentKind::Incident, id).await?;
        read(&found.ok_or_else(|| AppError::not_found("incident", id))?)
    }

    /// Takes an incident: the others see that somebody has it.
    pub async fn incident_ack(&self, actor: &Actor, id: &str, reason: &str) -> Result<Changed<Incident>, AppError> {
        let deed = Deed { action: "incident ack", target: id, reason };
        let result = self.change(actor, id, &deed, IncidentState::Acknowledged).await;
        self.audited(actor, &deed, result).await
    }

    /// Resolves an incident by hand. It opens again only after its rule was false once.
    pub async fn incident_resolve(&self, actor: &Actor, id: &str, reason: &str) -> Result<Changed<Incident>, AppError> {
        let deed = Deed { action: "incident resolve", target: id, reason };
        let result = self.change(actor, id, &deed, IncidentState::Resolved).await;
        self.audited(actor, &deed, result).await
    }

    async fn change(
        &self,
        actor: &Actor,
        id: &str,
        deed: &Deed<'_>,
        state: IncidentState,
    ) -> Result<Changed<Incident>, AppError> {
        check_reason(deed.reason)?;
        let _writing = self.writing.lock().await;
        let found = self.store.document(DocumentKind::Incident, id).await?;
        let document = found.ok_or_else(|| AppError::not_found("incident", id))?;
        let mut incident = read(&document)?;
        let before = incident.state;
        if before == IncidentState::Resolved {
            let what =
                format!("incident {id} is resolved already, by {}", incident.resolved_by.as_deref().unwrap_or("-"));
            if state == IncidentState::Resolved {
                return self.unchanged(actor, deed, &incident, before.as_str(), format!("{what}: nothing to do")).await;
            }
            let hint = "chatctl incident list shows those that are not".to_owned();
            return Err(AppError::Conflict { what, hint });
        }
        // Somebody else takes it over.
        if before == state && incident.acknowledged_by.as_ref() == Some(&actor.name) {
            let why = format!("incident {id} is {}'s already: nothing to do", actor.name);
            return self.unchanged(actor, deed, &incident, before.as_str(), why).await;
        }
        incident.state = state;
        match state {
            IncidentState::Resolved => {
                incident.resolved_ms = Some(self.clock.now_ms());
                incident.resolved_by = Some(actor.name.clone());
            }
            _ => incident.acknowledged_by = Some(actor.name.clone()),
        }
        let audit = self.audit_done(actor, deed, before.as_str(), state.as_str());
        self.store.commit(vec![write(&incident, document.number, document.revision + 1)?, audit]).await?;
        incident.revision = document.revision + 1;
        if state == IncidentState::Resolved {
            self.forget_seen(id);
            self.resolved_by_hand.lock().push(key(&incident));
            self.hooks.push(crate::detect::Event::Resolved(incident.clone()));
        }
        Ok(Changed::done(incident))
    }

    /// When an incident's rule held last, while that is not written down yet.
    pub(crate) fn seen(&self, id: &str, now_ms: u64) {
        self.incidents_seen.lock().insert(id.to_owned(), now_ms);
    }

    pub(crate) fn last_seen(&self, id: &str) -> Option<u64> {
        self.incidents_seen.lock().get(id).copied()
    }

    pub(crate) fn forget_seen(&self, id: &str) {
        self.incidents_seen.lock().remove(id);
    }

    /// The line of an incident that a rule opened or resolved.
    pub(crate) fn audit_incident(&self, incident: &Incident, action: &str) -> Change {
        let actor = Actor::new("control-plane", Role::Admin);
        let deed = Deed { action, target: &incident.id, reason: &incident.summary };
        self.audit_done(&actor, &deed, "", incident.state.as_str())
    }
}

/// What an incident is about: there is one open for each.
pub(crate) fn key(incident: &Incident) -> (Mode, Option<String>) {
    let subject = (incident.mode == Mode::GatewayCrash).then(|| incident.params.get("gateway").cloned());
    (incident.mode, subject.flatten())
}

/// Reads an incident back.
pub(crate) fn read(document: &Document) -> Result<Incident, AppError> {
    let incident: Incident =
        serde_json::from_str(&document.body).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    Ok(Incident { revision: document.revision, ..incident })
}

/// The change that keeps an incident.
pub(crate) fn write(incident: &Incident, number: u64, revision: u64) -> Result<Change, AppError> {
    let body = serde_json::to_string(incident).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    let is_ended = incident.state == IncidentState::Resolved;
    let kind = DocumentKind::Incident;
    Ok(Change::Document(Document { kind, id: incident.id.clone(), number, is_ended, revision, body }))
}
