//! Who a client is: JWTs, HS256 with a shared secret or EdDSA with a public key. Any other `alg` is refused.

use std::fmt;

use domain::UserId;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, errors::ErrorKind};
use serde::Deserialize;

/// The key that tokens are checked with.
#[derive(Clone)]
pub enum JwtKey {
    /// HS256 with this secret.
    Hs256(Vec<u8>),
    /// EdDSA with this public key in PEM.
    EdDsa(Vec<u8>),
}

impl fmt::Debug for JwtKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hs256(_) => "Hs256(..)",
            Self::EdDsa(_) => "EdDsa(..)",
        })
    }
}

/// Why the key cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the EdDSA public key is not valid PEM: {0}")]
pub struct AuthConfigError(String);

/// What a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    User,
    Service,
}

/// A token that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) user: UserId,
    pub(crate) role: Role,
    pub(crate) expires_ms: u64,
}

/// Why a token is refused; the text is for the client and never has the token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unauthorized {
    #[error("no token")]
    Missing,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid: {0}")]
    Invalid(String),
}

/// Checks tokens.
pub struct Auth {
    key: DecodingKey,
    validation: Validation,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    exp: u64,
    #[serde(default)]
    role: Option<String>,
}

impl Auth {
    /// Takes the key.
    pub fn new(key: &JwtKey) -> Result<Self, AuthConfigError> {
        let (key, algorithm) = match key {
            JwtKey::Hs256(secret) => (DecodingKey::from_secret(secret), Algorithm::HS256),
            JwtKey::EdDsa(pem) => {
                let key = DecodingKey::from_ed_pem(pem).map_err(|error| AuthConfigError(error.to_string()))?;
                (key, Algorithm::EdDSA)
            }
        };
        let mut validation = Validation::new(algorithm);
        // Expiry is checked against the gateway's clock, which a simulation drives.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.set_required_spec_claims(&["exp", "sub"]);
        Ok(Self { key, validation })
    }

    /// Who the token names.
    pub(crate) fn check(&self, token: &str, now_ms: u64) -> Result<Identity, Unauthorized> {
        let claims = decode::<Claims>(token, &self.key, &self.validation).map_err(|error| match error.kind() {
            ErrorKind::InvalidAlgorithm => Unauthorized::Invalid("this alg is not accepted".into()),
            ErrorKind::InvalidSignature => Unauthorized::Invalid("the signature does not match".into()),
            _ => Unauthorized::Invalid("it is malformed or lacks sub or exp".into()),
        })?;
        let claims = claims.claims;
        let expires_ms = claims.exp.saturating_mul(1_000);
        if expires_ms <= now_ms {
            return Err(Unauthorized::Expired);
        }
        let user = UserId::parse(&claims.sub).map_err(|why| Unauthorized::Invalid(format!("sub {why}")))?;
        let role = match claims.role.as_deref() {
            None | Some("user") => Role::User,
            Some("service") => Role::Service,
            Some(_) => return Err(Unauthorized::Invalid("role must be user or service".into())),
        };
        Ok(Identity { user, role, expires_ms })
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{EncodingKey, Header, encode};

    use super::*;

    fn token(alg: Algorithm, secret: &[u8], claims: serde_json::Value) -> String {
        encode(&Header::new(alg), &claims, &EncodingKey::from_secret(secret)).unwrap()
    }

    #[test]
    fn only_good_tokens_pass() {
        let auth = Auth::new(&JwtKey::Hs256(b"secret".to_vec())).unwrap();
        let good = serde_json::json!({"sub": "alice", "exp": 100});
        let identity = auth.check(&token(Algorithm::HS256, b"secret", good.clone()), 99_999).unwrap();
        assert_eq!((identity.user.as_str(), identity.role, identity.expires_ms), ("alice", Role::User, 100_000));

        assert_eq!(auth.check(&token(Algorithm::HS256, b"secret", good.clone()), 100_000), Err(Unauthorized::Expired));
        let invalid = |token: &str| matches!(auth.check(token, 0), Err(Unauthorized::Invalid(_)));
        assert!(invalid(&token(Algorithm::HS256, b"other", good.clone())));
        assert!(invalid(&token(Algorithm::HS384, b"secret", good)));
        assert!(invalid(&token(Algorithm::HS256, b"secret", serde_json::json!({"sub": "a b", "exp": 100}))));
        assert!(invalid(&token(Algorithm::HS256, b"secret", serde_json::json!({"sub": "a"}))));
        assert!(invalid(&token(
            Algorithm::HS256,
            b"secret",
            serde_json::json!({"sub": "a", "exp": 1, "role": "root"})
        )));
        // {"alg":"none"} . {"sub":"alice","exp":100} .
        assert!(invalid("eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSIsImV4cCI6MTAwfQ."));
        assert!(invalid(""));
    }
}
