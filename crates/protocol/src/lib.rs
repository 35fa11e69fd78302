//! What Chatfleet's programs say to each other. One crate owns every wire type, so four programs agree without
//! importing each other; golden bytes in the tests fail on an accidental change.
//!
//! - [`frames`]: the client protocol, version 1 (a public contract).
//! - [`http`]: bodies of the gateway's HTTP API.
//! - [`log`]: records of the log.
//! - [`link`]: the stream between a worker and a gateway.
//! - [`node`]: the stream between a node and the control plane.
//! - [`admin`]: bodies of the control plane's HTTP API.
//! - [`identity`]: who a program is, in its certificate.

pub mod admin;
pub mod frames;
pub mod http;
pub mod identity;

/// Records of the log (`proto/log.proto`).
pub mod log {
    #[allow(missing_docs, unreachable_pub, clippy::all)]
    pub mod v1 {
        include!("generated/log.rs");
    }
    #[allow(unreachable_pub)]
    pub use v1::*;
}
/// The worker-gateway stream (`proto/link.proto`).
pub mod link {
    #[allow(missing_docs, unreachable_pub, clippy::all)]
    pub mod v1 {
        include!("generated/link.rs");
    }
    #[allow(unreachable_pub)]
    pub use v1::*;
}
/// The stream of a node to the control plane (`proto/node.proto`).
pub mod node {
    #[allow(missing_docs, unreachable_pub, clippy::all)]
    pub mod v1 {
        include!("generated/node.rs");
    }
    #[allow(unreachable_pub)]
    pub use v1::*;
}
