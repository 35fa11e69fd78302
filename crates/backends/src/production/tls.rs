//! The certificates of a program: all three files or none.

use std::path::Path;

use super::{
    program::Refusal,
    settings::{Setting, Settings},
};
use crate::grpc::{GrpcDial, Tls};

/// Certificates for the streams between programs.
pub const TLS: &[Setting] = &[
    Setting::new::<String>("tls.ca", Some(""), "PEM file with the CA of the fleet's programs"),
    Setting::new::<String>("tls.certificate", Some(""), "PEM file with this program's certificate"),
    Setting::new::<String>("tls.key", Some(""), "PEM file with this program's private key"),
];

/// Reads the certificates, if any.
pub fn read(settings: &Settings) -> Result<Option<Tls>, Refusal> {
    let path = |key| settings.get_if_set::<String>(key);
    match (path("tls.ca"), path("tls.certificate"), path("tls.key")) {
        (Some(ca), Some(certificate), Some(key)) => {
            let tls = Tls { ca: file(&ca)?, certificate: file(&certificate)?, key: file(&key)? };
            Ok(Some(tls))
        }
        (None, None, None) => Ok(None),
        _ => Err(Box::new("tls.ca, tls.certificate and tls.key go together: set all or none")),
    }
}

fn file(path: &str) -> Result<Vec<u8>, Refusal> {
    std::fs::read(Path::new(path)).map_err(|error| Box::new(format!("cannot read {path}: {error}")) as Refusal)
}

/// Calls other programs with these certificates.
pub fn dial(tls: Option<&Tls>) -> Result<GrpcDial, Refusal> {
    match tls {
        Some(tls) => GrpcDial::tls(tls, None).map_err(|error| Box::new(error) as Refusal),
        None => Ok(GrpcDial::plain()),
    }
}

/// Binds a port for streams of other programs. Without certificates only this machine may call.
pub async fn bind(address: std::net::SocketAddr, tls: Option<&Tls>) -> Result<tokio::net::TcpListener, Refusal> {
    if tls.is_none() && !address.ip().is_loopback() {
        let why = format!("{address} can be reached from other machines: set tls.ca, tls.certificate and tls.key");
        return Err(Box::new(why));
    }
    listen(address).await
}

/// Binds a port.
pub async fn listen(address: std::net::SocketAddr) -> Result<tokio::net::TcpListener, Refusal> {
    let bound = tokio::net::TcpListener::bind(address).await;
    bound.map_err(|error| Box::new(format!("cannot listen on {address}: {error}")) as Refusal)
}
