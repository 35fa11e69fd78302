//! A whole fleet in one process.
//!
//! - [`LocalFleet`]: gateways, a worker and a control plane on real sockets and the embedded stores: `chatctl dev`.
//! - `sim` (feature `simulation`): the same programs in simulated time, from a seed.

mod listen;
mod local;
mod secrets;
#[cfg(feature = "simulation")]
pub mod sim;

pub use backends::embedded::DataDirError;
pub use gateway::Limits;
pub use listen::ListenError;
pub use local::{FleetError, FleetOptions, LocalFleet, RunningGateway};
pub use secrets::Secrets;
