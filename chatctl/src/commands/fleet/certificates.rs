//! Certificates for the streams between the programs of a local fleet: a CA of its own, made at the first start.

use protocol::identity::Identity;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};
use toml::Table;

use super::{
    place::Place,
    plan::{Process, put},
};
use crate::error::CommandError;

/// Makes the CA and a certificate for each program, and has its settings name them. Anew at each start of the fleet:
/// nobody keeps them, so nothing expires unseen, and no key of a CA lies around.
pub(super) fn make(place: &Place, processes: &mut [Process]) -> Result<(), CommandError> {
    let failed = |error: rcgen::Error| CommandError::failed(format!("cannot make certificates: {error}"));
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "chatfleet local CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().map_err(failed)?).map_err(failed)?;
    let authority = place.write("ca.pem", &ca.pem())?;
    for process in processes {
        let mut params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).map_err(failed)?;
        params.distinguished_name.push(DnType::CommonName, process.name.as_str());
        let identity = Identity { role: process.role, name: process.name.clone() };
        params.subject_alt_names.push(SanType::URI(identity.uri().try_into().map_err(failed)?));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = params.signed_by(&key, &ca).map_err(failed)?;
        let certificate = place.write(&format!("{}.pem", process.name), &certificate.pem())?;
        let key = place.write(&format!("{}.key", process.name), &key.serialize_pem())?;
        let settings: &mut Table = &mut process.settings;
        for (name, path) in [("ca", &authority), ("certificate", &certificate), ("key", &key)] {
            put(settings, "tls", name, &path.display().to_string());
        }
    }
    Ok(())
}
