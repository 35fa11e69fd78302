//! Mutual TLS: both sides show a certificate of the same CA.

use std::{fmt, time::Duration};

use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity, Server, ServerTlsConfig};

/// A handshake that takes longer has failed.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(3);

/// What one program shows and whom it believes, as PEM. The same on both sides.
#[derive(Clone)]
pub struct Tls {
    /// Certificates of the CA that signed those of all programs.
    pub ca: Vec<u8>,
    /// The certificate of this program, its intermediates after it.
    pub certificate: Vec<u8>,
    /// Its private key.
    pub key: Vec<u8>,
}

impl fmt::Debug for Tls {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

/// Certificates or a key that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the certificates: {0}")]
pub struct TlsError(String);

impl TlsError {
    /// Only what the TLS library says of it, which never quotes its input.
    fn of(error: &tonic::transport::Error) -> Self {
        let source = std::error::Error::source(error);
        Self(source.map_or_else(|| error.to_string(), |source| source.to_string()))
    }
}

impl Tls {
    fn identity(&self) -> Identity {
        Identity::from_pem(&self.certificate, &self.key)
    }

    /// A CA file without any certificate would be taken for one that believes nobody.
    fn authority(&self) -> Result<Certificate, TlsError> {
        const MARK: &[u8] = b"-----BEGIN CERTIFICATE-----";
        if !self.ca.windows(MARK.len()).any(|window| window == MARK) {
            return Err(TlsError("there is no certificate of a CA".to_owned()));
        }
        Ok(Certificate::from_pem(&self.ca))
    }

    pub(super) fn client(&self, server_name: Option<&str>) -> Result<ClientTlsConfig, TlsError> {
        let config = ClientTlsConfig::new()
            .ca_certificate(self.authority()?)
            .identity(self.identity())
            .timeout(HANDSHAKE_DEADLINE);
        let config = match server_name {
            Some(name) => config.domain_name(name),
            None => config,
        };
        // At start, so that a wrong file is not first found by a dial.
        let tried = Endpoint::from_static("https://localhost").tls_config(config.clone());
        tried.map_err(|error| TlsError::of(&error))?;
        Ok(config)
    }

    pub(super) fn server(&self, server: Server) -> Result<Server, TlsError> {
        let config = ServerTlsConfig::new()
            .client_ca_root(self.authority()?)
            .identity(self.identity())
            .timeout(HANDSHAKE_DEADLINE);
        server.tls_config(config).map_err(|error| TlsError::of(&error))
    }
}
