//! The control plane: watches the nodes of a fleet and steers them.
//!
//! - [`ControlPlane`]: starts, serves and stops it; its calls work without HTTP too, so a simulated fleet can drive it.
//! - [`App`]: what callers can ask for: one file a resource, every change audited.
//! - `reconcile`: one file a job; idempotent, run by timer and nudge, resumed after a restart from the store.
//! - `leader`: which replica does all that, when there are several.
//! - [`store`]: the port for what must survive, with its SQLite and in-memory adapters.
//! - `detect`: samples, detectors, incidents.
//! - `checks`: drives reconciliations.
//! - `runs`: makes the calls of runbooks.
//! - `scale`: adds and removes nodes, ahead of events. `provision`: who does so for it.
//! - `session`: one node's stream.
//! - `http`: the API, its roles and its OpenAPI document.
//!
//! Invariants: an operation that has begun reaches an end or is resumed; the desired state of a node has one writer,
//! the reconciler; no secret is stored or logged; a call that changes something leaves a line in the audit, also when
//! it was refused.

mod app;
mod checks;
mod control_plane;
mod detect;
mod error;
mod http;
mod leader;
mod provision;
mod reconcile;
mod runs;
mod scale;
mod session;
pub mod store;

pub use app::{Actor, App, OperationQuery};
pub use control_plane::{ControlPlane, ControlPlaneConfig};
pub use detect::check_webhook;
pub use error::AppError;
pub use http::{ApiCertificate, ApiCertificateError};
pub use leader::Replica;
#[cfg(feature = "production")]
pub use provision::{Access, Kubernetes, StoreDatacenter};
pub use provision::{Command, Provisioner};
pub use scale::Rates;
