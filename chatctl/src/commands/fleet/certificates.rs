//! Certificates for the streams between the programs of a local fleet: a CA of its own, made at the first start.

use std::path::PathBuf;

use protocol::identity::Identity;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};

use super::{place::Place, process::Process, settings::put};
use crate::error::CommandError;

/// Who signs the certificates of a fleet's programs.
///
/// Made anew at each start of the fleet: nobody keeps it, so nothing expires unseen, and no key of a CA lies around. So
/// only the supervisor can add a program.
pub(super) struct Authority {
    ca: CertifiedIssuer<'static, KeyPair>,
    /// Its certificate.
    path: PathBuf,
}

impl Authority {
    pub(super) fn make(place: &Place) -> Result<Self, CommandError> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "chatfleet local CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().map_err(failed)?).map_err(failed)?;
        let path = place.write("ca.pem", &ca.pem())?;
        Ok(Self { ca, path })
    }

    /// Makes the certificate of a program, and has its settings name it.
    pub(super) fn certify(&self, place: &Place, process: &mut Process) -> Result<(), CommandError> {
        let mut params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).map_err(failed)?;
        params.distinguished_name.push(DnType::CommonName, process.name.as_str());
        let identity = Identity { role: process.role, name: process.name.clone() };
        params.subject_alt_names.push(SanType::URI(identity.uri().try_into().map_err(failed)?));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = params.signed_by(&key, &self.ca).map_err(failed)?;
        let certificate = place.write(&format!("{}.pem", process.name), &certificate.pem())?;
        let key = place.write(&format!("{}.key", process.name), &key.serialize_pem())?;
        for (name, path) in [("ca", &self.path), ("certificate", &certificate), ("key", &key)] {
            put(&mut process.settings, "tls", name, &path.display().to_string());
        }
        Ok(())
    }
}

fn failed(error: rcgen::Error) -> CommandError {
    CommandError::failed(format!("cannot make certificates: {error}"))
}
