//! The API over TLS, on real sockets.

#![allow(clippy::unwrap_used)]

mod support;

use std::{sync::Arc, time::Duration};

use backends::Clock;
use chat_control_plane::{ApiCertificate, store::MemoryStore};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use reqwest::{Certificate, Client};
use support::{ADMIN, Rig, use_ring};
use tokio::net::{TcpListener, TcpStream};

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn shown(ca: &CertifiedIssuer<'static, KeyPair>) -> ApiCertificate {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, ca).unwrap();
    ApiCertificate { certificate: certificate.pem().into_bytes(), key: key.serialize_pem().into_bytes() }
}

fn client(believes: &CertifiedIssuer<'static, KeyPair>) -> Client {
    use_ring();
    let ca = Certificate::from_pem(believes.pem().as_bytes()).unwrap();
    Client::builder().tls_certs_only([ca]).timeout(Duration::from_secs(10)).build().unwrap()
}

#[tokio::test]
async fn who_believes_the_ca_is_served_and_nobody_else() {
    let (ours, theirs) = (authority(), authority());
    let rig = Rig::with(Arc::new(MemoryStore::default()), Clock::System).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    rig.plane.serve_tls(listener, &shown(&ours)).unwrap();
    let url = format!("https://localhost:{}/v1/whoami", address.port());

    // Some that say nothing hold nobody up.
    let _silent = [TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap()];
    let answer = client(&ours).get(&url).bearer_auth(ADMIN).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);

    let error = client(&theirs).get(&url).bearer_auth(ADMIN).send().await.unwrap_err();
    assert!(error.is_connect(), "{error:?}");
    let plain = Client::builder().tls_certs_only([]).timeout(Duration::from_secs(10)).build().unwrap();
    let spoken = plain.get(format!("http://{address}/v1/whoami")).bearer_auth(ADMIN).send().await;
    assert!(spoken.is_err(), "it is served without TLS");
    rig.plane.shutdown().await;
}

#[tokio::test]
async fn what_is_no_certificate_is_told_and_the_key_never() {
    let rig = Rig::with(Arc::new(MemoryStore::default()), Clock::System).await;
    let good = shown(&authority());
    let bad = [
        ApiCertificate { certificate: b"no PEM".to_vec(), ..good.clone() },
        ApiCertificate { key: b"secret words".to_vec(), ..good.clone() },
        ApiCertificate { key: shown(&authority()).key, ..good.clone() },
    ];
    for shown in bad {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let error = rig.plane.serve_tls(listener, &shown).unwrap_err().to_string();
        assert!(
            error.contains("cannot use the certificate of the api: ") && !error.contains("secret words"),
            "{error}"
        );
    }
    assert_eq!(format!("{good:?}"), "ApiCertificate { .. }");
    rig.plane.shutdown().await;
}
