//! The HTTP client for a context's fleet, and whom it believes.

use std::{path::Path, time::Duration};

use reqwest::{Certificate, Client};
use tokio_rustls::rustls::crypto::ring;

use crate::{context::Context, error::CommandError};

/// A connection that takes longer has failed.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

/// A client for the control plane and the gateways of a context.
pub(crate) fn client(context: &Context) -> Result<Client, CommandError> {
    // The first one stands; all of them are the same.
    let _ = ring::default_provider().install_default();
    let builder =
        Client::builder().connect_timeout(CONNECT_DEADLINE).user_agent(concat!("chatctl/", env!("CARGO_PKG_VERSION")));
    let builder = match &context.ca {
        Some(path) => builder.tls_certs_only(authority(path)?),
        // A machine that believes nobody can call fleets without TLS all the same.
        None if !context.has_tls() => builder.tls_certs_only([]),
        None => builder,
    };
    builder.build().map_err(|_| {
        CommandError::failed("this machine has no certificates of authorities")
            .hint("give the fleet's: chatctl context set NAME --ca FILE")
    })
}

fn authority(path: &Path) -> Result<Vec<Certificate>, CommandError> {
    let wrong = |why: String| {
        CommandError::usage(format!("the ca of the context, {}: {why}", path.display()))
            .hint("chatctl context set NAME --ca FILE names another PEM file")
    };
    let pem = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let certificates =
        Certificate::from_pem_bundle(&pem).map_err(|_| wrong("is no PEM with certificates".to_owned()))?;
    if certificates.is_empty() {
        return Err(wrong("has no certificate".to_owned()));
    }
    Ok(certificates)
}
