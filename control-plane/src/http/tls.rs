//! The API over TLS. Handshakes go on beside each other and have a deadline: a client that says nothing holds nobody up.

use std::{io, net::SocketAddr, sync::Arc};

use axum::serve::Listener;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{Duration, sleep, timeout},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    },
    server::TlsStream,
};

/// A handshake that takes longer has failed.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(5);
/// Handshakes at once. Past it connections wait to be accepted.
const HANDSHAKES_MAX: usize = 256;
/// After a connection could not be accepted, as there are no files left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the API shows its callers, as PEM.
#[derive(Clone)]
pub struct ApiCertificate {
    /// The certificate, its intermediates after it.
    pub certificate: Vec<u8>,
    /// Its private key.
    pub key: Vec<u8>,
}

impl std::fmt::Debug for ApiCertificate {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiCertificate").finish_non_exhaustive()
    }
}

/// A certificate or key that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the certificate of the api: {0}")]
pub struct ApiCertificateError(String);

/// Accepts connections and speaks TLS on them.
pub(crate) struct TlsListener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
    handshakes: JoinSet<Option<(TlsStream<TcpStream>, SocketAddr)>>,
}

impl TlsListener {
    pub(crate) fn new(tcp: TcpListener, shown: &ApiCertificate) -> Result<Self, ApiCertificateError> {
        let failed = |error: String| ApiCertificateError(error);
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&shown.certificate).collect();
        let chain = chain.map_err(|error| failed(error.to_string()))?;
        if chain.is_empty() {
            return Err(failed("there is no certificate in it".to_owned()));
        }
        // What it says of a key never quotes it.
        let key = PrivateKeyDer::from_pem_slice(&shown.key).map_err(|_| failed("the key is no PEM".to_owned()))?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|error| failed(error.to_string()))?;
        Ok(Self { tcp, acceptor: TlsAcceptor::from(Arc::new(config)), handshakes: JoinSet::new() })
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            tokio::select! {
                Some(done) = self.handshakes.join_next() => if let Ok(Some(accepted)) = done {
                    return accepted;
                },
                accepted = self.tcp.accept(), if self.handshakes.len() < HANDSHAKES_MAX => match accepted {
                    Ok((tcp, from)) => {
                        let handshake = self.acceptor.accept(tcp);
                        self.handshakes.spawn(async move {
                            let stream = timeout(HANDSHAKE_DEADLINE, handshake).await.ok()?;
                            stream.inspect_err(|error| tracing::debug!(%error, "a handshake failed")).ok().map(|it| (it, from))
                        });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}
