//! Who makes a call, by the certificate it shows.

use protocol::identity::{Identity, ProgramRole};
use tonic::{Request, Status, transport::server::TlsConnectInfo};
use webpki::EndEntityCert;

/// `None` where there is no TLS: then only this machine may call. Refused are certificates that do not say who they are
/// of, and other roles than these.
pub(super) fn peer<T>(request: &Request<T>, allowed: &[ProgramRole]) -> Result<Option<Identity>, Status> {
    let Some(tls) = request.extensions().get::<TlsConnectInfo<()>>() else { return Ok(None) };
    let refused = |why: String| {
        tracing::warn!(why, "a stream was refused");
        Status::permission_denied(why)
    };
    let certificates = tls.peer_certs().unwrap_or_default();
    let certificate = certificates.first().ok_or_else(|| refused("it shows no certificate".to_owned()))?;
    let certificate = EndEntityCert::try_from(certificate).map_err(|error| refused(error.to_string()))?;
    let identity = certificate.valid_uri_names().find_map(Identity::read).ok_or_else(|| {
        let uris: Vec<String> =
            allowed.iter().map(|role| Identity { role: *role, name: "NAME".to_owned() }.uri()).collect();
        refused(format!(
            "its certificate does not say whose it is: it needs the URI {} among its names",
            uris.join(" or ")
        ))
    })?;
    if !allowed.contains(&identity.role) {
        let roles: Vec<_> = allowed.iter().map(|role| role.as_str()).collect();
        return Err(refused(format!("{identity} may not call here: {} may", roles.join(" and "))));
    }
    Ok(Some(identity))
}
