//! The audit: who, what, why, before, after, result.

use protocol::admin::{AuditEntry, AuditVerdict, Changed, Operation, OperationPhase, Override, Page, Role};

use super::{Actor, App, check_limit};
use crate::{
    error::AppError,
    store::{AuditChain, Change, NewAudit},
};

/// Entries read at once.
const BATCH: usize = 500;

/// What is done to what, and why.
pub(crate) struct Deed<'a> {
    pub(crate) action: &'a str,
    pub(crate) target: &'a str,
    pub(crate) reason: &'a str,
}

impl App {
    /// Newest first, below `before`.
    pub async fn audit(&self, before: Option<u64>, limit: Option<usize>) -> Result<Page<AuditEntry>, AppError> {
        let limit = check_limit(limit)?;
        let items = self.store.audit(before.unwrap_or(u64::MAX), limit).await?;
        let next = items.last().filter(|last| items.len() == limit && last.seq > 1).map(|last| last.seq);
        Ok(Page { items, next })
    }

    /// Checks the whole chain.
    pub async fn audit_verify(&self) -> Result<AuditVerdict, AppError> {
        let (mut chain, mut after) = (AuditChain::default(), 0);
        loop {
            let entries = self.store.audit_from(after, BATCH).await?;
            entries.iter().for_each(|entry| chain.check(entry));
            match entries.last() {
                Some(last) => after = last.seq,
                None => return Ok(chain.verdict()),
            }
        }
    }

    /// The line of a deed that was done, to be committed with it.
    pub(crate) fn audit_done(&self, actor: &Actor, deed: &Deed<'_>, before: &str, after: &str) -> Change {
        Change::Audit(self.audit_line(actor, deed, before, after, "done"))
    }

    /// Writes down that a deed was refused. The refusal stands also when this cannot be written.
    pub(crate) async fn audit_refused(&self, actor: &Actor, deed: &Deed<'_>, why: &str) {
        let line = self.audit_line(actor, deed, "", "", &format!("refused: {why}"));
        if let Err(error) = self.store.commit(vec![Change::Audit(line)]).await {
            tracing::error!(%error, action = deed.action, target = deed.target, "a refusal is not in the audit");
        }
    }

    /// The line of an operation's end. It was nobody's call, so it stands under the control plane's own name.
    pub(crate) fn audit_ended(&self, operation: &Operation, phase: OperationPhase, error: Option<&str>) -> Change {
        let actor = Actor::new("control-plane", Role::Admin);
        let deed = Deed { action: "operation end", target: &operation.id, reason: &operation.reason };
        let result = error.map_or_else(|| "done".to_owned(), |error| format!("failed: {error}"));
        Change::Audit(self.audit_line(&actor, &deed, operation.phase.as_str(), phase.as_str(), &result))
    }

    /// The line of an override's end by time or by refusal.
    pub(crate) fn audit_override_ended(&self, one: &Override, by: &str) -> Change {
        let actor = Actor::new("control-plane", Role::Admin);
        let deed = Deed { action: "override end", target: &one.id, reason: &one.reason };
        Change::Audit(self.audit_line(&actor, &deed, &one.lever.to_string(), one.state.as_str(), by))
    }

    /// Something is as it was asked to be: that is written down, and nothing else is done.
    pub(super) async fn unchanged<T: Clone>(
        &self,
        actor: &Actor,
        deed: &Deed<'_>,
        it: &T,
        state: &str,
        why: String,
    ) -> Result<Changed<T>, AppError> {
        self.store.commit(vec![self.audit_done(actor, deed, state, state)]).await?;
        Ok(Changed::already(it.clone(), why))
    }

    /// Passes a result on; a refusal is written down first.
    pub(super) async fn audited<T>(
        &self,
        actor: &Actor,
        deed: &Deed<'_>,
        result: Result<T, AppError>,
    ) -> Result<T, AppError> {
        if let Err(error) = &result {
            self.audit_refused(actor, deed, &error.to_string()).await;
        }
        result
    }

    fn audit_line(&self, actor: &Actor, deed: &Deed<'_>, before: &str, after: &str, result: &str) -> NewAudit {
        NewAudit {
            at_ms: self.clock.now_ms(),
            who: actor.name.clone(),
            role: actor.role,
            action: deed.action.to_owned(),
            target: deed.target.chars().take(100).collect(),
            reason: deed.reason.chars().take(super::REASON_CHARS_MAX).collect(),
            before: before.to_owned(),
            after: after.to_owned(),
            result: result.to_owned(),
        }
    }
}
