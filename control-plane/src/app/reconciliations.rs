//! Reconciliations: beginning one, now or on a schedule. [`crate::checks`] drives them.

use domain::counted;
use protocol::admin::{Operation, OperationKind, ReconcileDetail, ReconcileRequest, ReconcileSpan};

use super::{Actor, App, audit::Deed, check_reason};
use crate::{
    error::AppError,
    store::{Change, Document, DocumentKind, OperationFilter, StoreError},
};

const PPM: u32 = 1_000_000;
const RATE_PER_S_MAX: u32 = 1_000_000;
const EVERY_MS: std::ops::RangeInclusive<u64> = 3_600_000..=30 * 24 * 3_600_000;
/// The one schedule there is.
pub(crate) const SCHEDULE: &str = "reconcile";

impl App {
    /// Begins a reconciliation. With `every_ms` it is also done again and again.
    pub async fn reconcile(&self, actor: &Actor, request: &ReconcileRequest) -> Result<Operation, AppError> {
        let target = request.conversation.clone().unwrap_or_else(|| "fleet".to_owned());
        let deed = Deed { action: "reconcile run", target: &target, reason: &request.reason };
        let result = self.reconcile_begin(actor, request, &deed).await;
        self.audited(actor, &deed, result).await
    }

    async fn reconcile_begin(
        &self,
        actor: &Actor,
        request: &ReconcileRequest,
        deed: &Deed<'_>,
    ) -> Result<Operation, AppError> {
        check(request)?;
        let _writing = self.writing.lock().await;
        let active = self.store.operations(OperationFilter::Active, u64::MAX, usize::MAX).await?;
        if let Some(running) = active.iter().find(|it| it.kind == OperationKind::Reconcile) {
            let (kind, operation) = (running.kind, running.id.clone());
            return Err(AppError::Busy { target: "fleet".to_owned(), kind, operation });
        }
        let spans: Vec<ReconcileSpan> = self
            .lag()
            .into_iter()
            .filter(|lag| lag.committed > 0)
            // Above the commit pointer nothing has to be stored yet.
            .map(|lag| ReconcileSpan { lane: lag.lane, partition: lag.partition, next: 0, end: lag.committed })
            .collect();
        let total = spans.iter().map(|span| span.end).sum();
        let mut request = request.clone();
        let every_ms = request.every_ms.take();
        let detail = ReconcileDetail { request: request.clone(), spans, rows: 0, damage: Vec::new(), damaged: 0 };
        let value = serde_json::to_value(&detail).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let mut operation =
            self.operation_new(actor, OperationKind::Reconcile, deed.target, deed.reason, value).await?;
        operation.progress.total = total;
        let mut with = vec![self.audit_done(actor, deed, "", &format!("operation {}", operation.id))];
        if let Some(every_ms) = every_ms {
            with.push(self.scheduled(&request, every_ms).await?);
        }
        let message = format!("{} to compare with their rows", counted(total, "records"));
        self.operation_save(&mut operation, message, with).await?;
        self.checks.notify_one();
        Ok(operation)
    }

    async fn scheduled(&self, request: &ReconcileRequest, every_ms: u64) -> Result<Change, AppError> {
        let known = self.store.document(DocumentKind::Schedule, SCHEDULE).await?;
        let body = serde_json::json!({
            "request": request, "every_ms": every_ms, "due_ms": self.clock.now_ms() + every_ms,
        });
        Ok(Change::Document(Document {
            kind: DocumentKind::Schedule,
            id: SCHEDULE.to_owned(),
            number: 1,
            is_ended: false,
            revision: known.map_or(0, |known| known.revision) + 1,
            body: body.to_string(),
        }))
    }
}

fn check(request: &ReconcileRequest) -> Result<(), AppError> {
    check_reason(&request.reason)?;
    if let Some(conversation) = &request.conversation {
        domain::ConversationId::parse(conversation)
            .map_err(|error| AppError::invalid("conversation", error.to_string()))?;
    }
    if let Some(ppm) = request.sample_ppm.filter(|ppm| !(1..=PPM).contains(ppm)) {
        return Err(AppError::invalid("sample_ppm", format!("is {ppm}, must be 1-1,000,000")));
    }
    if let Some(rate) = request.rate_per_s.filter(|rate| !(1..=RATE_PER_S_MAX).contains(rate)) {
        return Err(AppError::invalid("rate_per_s", format!("is {rate}, must be 1-1,000,000")));
    }
    if let Some(every_ms) = request.every_ms.filter(|every_ms| !EVERY_MS.contains(every_ms)) {
        return Err(AppError::invalid("every_ms", format!("is {every_ms}, must be 1 h to 30 d")));
    }
    Ok(())
}
