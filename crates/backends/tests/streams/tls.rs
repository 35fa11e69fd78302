//! Mutual TLS: who has no certificate of the CA neither serves nor dials.

use chatfleet_backends::grpc::{GrpcDial, Tls, listen_links};
use protocol::{
    identity::{Identity, ProgramRole},
    link::{WorkerFrame, link_client::LinkClient},
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};

use super::{
    grpc::{Listener, listener},
    soon, suite,
};

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// What a worker of this name or address has, that believes this authority.
    fn program(&self, name: &str) -> Tls {
        self.identified(name, Some(ProgramRole::Worker))
    }

    fn identified(&self, name: &str, role: Option<ProgramRole>) -> Tls {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        if let Some(role) = role {
            let uri = Identity { role, name: name.to_owned() }.uri();
            params.subject_alt_names.push(SanType::URI(uri.try_into().unwrap()));
        }
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Tls {
            ca: self.0.pem().into_bytes(),
            certificate: certificate.pem().into_bytes(),
            key: key.serialize_pem().into_bytes(),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_grpc_with_mutual_tls() {
    let authority = Authority::new();
    // Named after the host that is dialled.
    let dial = GrpcDial::tls(&authority.program("worker-1"), None).unwrap();
    let Listener { wire, serving, stop } = listener(dial, Some(&authority.program("127.0.0.1"))).await;
    suite::run(wire).await;
    stop.cancel();
    soon(serving.ended()).await;
}

#[tokio::test]
async fn strangers_are_refused() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let server = ours.program("gateway-1");
    let dial = GrpcDial::tls(&ours.program("worker-1"), Some("gateway-1")).unwrap();
    let Listener { mut wire, .. } = listener(dial, Some(&server)).await;
    wire.open().await;

    let believes_another = Tls { ca: theirs.program("x").ca, ..ours.program("worker-1") };
    let signed_by_another = Tls { ca: server.ca.clone(), ..theirs.program("worker-1") };
    let strangers = [
        ("the server's CA is not believed", GrpcDial::tls(&believes_another, Some("gateway-1")).unwrap()),
        ("the client's CA is not believed", GrpcDial::tls(&signed_by_another, Some("gateway-1")).unwrap()),
        ("the server has another name", GrpcDial::tls(&ours.program("worker-1"), Some("gateway-2")).unwrap()),
        ("it has another host", GrpcDial::tls(&ours.program("worker-1"), None).unwrap()),
        ("it does not speak TLS", GrpcDial::plain()),
    ];
    for (what, dial) in strangers {
        let dialled = soon(chatfleet_backends::stream::Dial::<WorkerFrame, _>::dial(&dial, &wire.address)).await;
        assert!(dialled.is_err_and(|error| error.address == wire.address), "{what}, and it may dial");
    }
    let without = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&server.ca)).domain_name("gateway-1");
    let endpoint = Endpoint::from_shared(format!("https://{}", wire.address)).unwrap().tls_config(without).unwrap();
    // The server may tell only after the handshake.
    if let Ok(channel) = soon(endpoint.connect()).await {
        let opened = soon(LinkClient::new(channel).open(nothing_to_say())).await;
        assert!(opened.is_err(), "it has no certificate, and it may dial");
    }
    assert!(wire.streams.try_recv().is_err(), "a stranger's stream came through");
}

/// A certificate of the fleet's CA is not enough: it must be a worker's.
#[tokio::test]
async fn only_a_worker_opens_a_stream_to_a_gateway_and_its_name_is_known() {
    let authority = Authority::new();
    let server = authority.identified("127.0.0.1", Some(ProgramRole::Gateway));
    let dial = GrpcDial::tls(&authority.program("worker-1"), None).unwrap();
    let Listener { mut wire, .. } = listener(dial, Some(&server)).await;
    let (_near, far) = wire.open().await;
    assert_eq!(far.peer, Some(Identity { role: ProgramRole::Worker, name: "worker-1".to_owned() }));
    let others = [
        (None, "does not say whose it is: it needs the URI spiffe://chatfleet/worker/NAME"),
        (Some(ProgramRole::Gateway), "gateway other may not call here: worker may"),
    ];
    for (role, why) in others {
        let dial = GrpcDial::tls(&authority.identified("other", role), None).unwrap();
        let dialled = soon(chatfleet_backends::stream::Dial::<WorkerFrame, _>::dial(&dial, &wire.address)).await;
        let error = dialled.expect_err("it may dial").to_string();
        assert!(error.contains(why), "{error}");
    }
    assert!(wire.streams.try_recv().is_err());
}

fn nothing_to_say() -> impl futures_util::Stream<Item = WorkerFrame> {
    futures_util::stream::pending()
}

#[tokio::test]
async fn useless_certificates_are_told_at_start_and_keys_never() {
    let good = Authority::new().program("gateway-1");
    let other_key = Tls { key: Authority::new().program("x").key, ..good.clone() };
    let bad = [
        Tls { ca: b"no PEM".to_vec(), ..good.clone() },
        Tls { certificate: Vec::new(), ..good.clone() },
        Tls { key: b"secret words".to_vec(), ..good.clone() },
        other_key,
    ];
    for tls in bad {
        let dialling = GrpcDial::tls(&tls, None).unwrap_err().to_string();
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listening = listen_links(tcp, Some(&tls), CancellationToken::new()).unwrap_err().to_string();
        for error in [dialling, listening] {
            assert!(error.starts_with("cannot use the certificates: ") && !error.contains("secret words"), "{error}");
        }
    }
    let key = String::from_utf8(good.key.clone()).unwrap();
    let dial = GrpcDial::tls(&good, None).unwrap();
    let shown = format!("{good:?} {dial:?}");
    assert!(!key.lines().any(|line| shown.contains(line)) && !shown.contains(&format!("{:?}", good.key)), "{shown}");
}
