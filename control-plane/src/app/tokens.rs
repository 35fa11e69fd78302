//! Bearer tokens. Only the hash of a secret is kept, and looked up by: no comparison ever sees the secret itself.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use protocol::admin::{Changed, CreateToken, Role, Token, TokenCreated};
use rand::{TryRngCore as _, rngs::OsRng};

use super::{Actor, App, audit::Deed, check_reason};
use crate::{
    error::AppError,
    store::{Change, StoreError, TokenRecord, sha256_hex},
};

/// The token that the embedding program gives.
const BOOTSTRAP: &str = "bootstrap";
const TTL_S_DEFAULT: u64 = 30 * 24 * 3_600;
const TTL_S_MAX: u64 = 366 * 24 * 3_600;

impl App {
    /// Who has this secret?
    pub async fn authenticate(&self, secret: &str) -> Result<Actor, AppError> {
        let known = self.store.token_by_hash(&sha256_hex(secret)).await?.ok_or(AppError::Unauthorized)?;
        let token = known.token;
        let expired = token.expires_ms.is_some_and(|expires_ms| expires_ms <= self.clock.now_ms());
        if expired || token.revoked_ms.is_some() {
            return Err(AppError::Unauthorized);
        }
        Ok(Actor { name: token.name, role: token.role, expires_ms: token.expires_ms })
    }

    /// Makes the configured admin token the only bootstrap token.
    pub(crate) async fn token_bootstrap(&self, secret: &str) -> Result<(), StoreError> {
        let token = Token {
            id: BOOTSTRAP.to_owned(),
            name: "admin".to_owned(),
            role: Role::Admin,
            created_ms: 0,
            expires_ms: None,
            revoked_ms: None,
        };
        self.store.commit(vec![Change::Token(TokenRecord { token, hash: sha256_hex(secret) })]).await
    }

    /// All tokens, without their secrets.
    pub async fn tokens(&self) -> Result<Vec<Token>, AppError> {
        Ok(self.store.tokens().await?.into_iter().map(|record| record.token).collect())
    }

    /// Makes a token. Its secret is in the answer and nowhere else.
    pub async fn token_create(&self, actor: &Actor, request: &CreateToken) -> Result<TokenCreated, AppError> {
        let deed = Deed { action: "token create", target: &request.name, reason: &request.reason };
        let result = self.token_make(actor, request, &deed).await;
        self.audited(actor, &deed, result).await
    }

    /// Ends a token at once.
    pub async fn token_revoke(&self, actor: &Actor, id: &str) -> Result<Changed<Token>, AppError> {
        let deed = Deed { action: "token revoke", target: id, reason: "" };
        let result = self.token_end(actor, id, &deed).await;
        self.audited(actor, &deed, result).await
    }

    async fn token_make(
        &self,
        actor: &Actor,
        request: &CreateToken,
        deed: &Deed<'_>,
    ) -> Result<TokenCreated, AppError> {
        check_reason(&request.reason)?;
        domain::UserId::parse(&request.name).map_err(|error| AppError::invalid("name", error.to_string()))?;
        let ttl_s = request.ttl_s.unwrap_or(TTL_S_DEFAULT);
        if !(1..=TTL_S_MAX).contains(&ttl_s) {
            return Err(AppError::invalid("ttl_s", format!("is {ttl_s}, must be 1-{TTL_S_MAX}")));
        }
        // A secret comes from the system, not from the seed.
        let mut random = [0_u8; 36];
        OsRng.try_fill_bytes(&mut random).map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let secret = format!("cft_{}", BASE64_URL_SAFE_NO_PAD.encode(&random[..32]));
        let now_ms = self.clock.now_ms();
        let token = Token {
            id: format!("t-{:08x}", u32::from_be_bytes([random[32], random[33], random[34], random[35]])),
            name: request.name.clone(),
            role: request.role,
            created_ms: now_ms,
            expires_ms: Some(now_ms + ttl_s * 1_000),
            revoked_ms: None,
        };
        let audit = self.audit_done(actor, deed, "", &format!("token {} with role {}", token.id, token.role));
        let record = TokenRecord { token: token.clone(), hash: sha256_hex(&secret) };
        self.store.commit(vec![Change::Token(record), audit]).await?;
        Ok(TokenCreated { token, secret })
    }

    async fn token_end(&self, actor: &Actor, id: &str, deed: &Deed<'_>) -> Result<Changed<Token>, AppError> {
        let known = self.store.tokens().await?.into_iter().find(|record| record.token.id == id);
        let mut record = known.ok_or_else(|| AppError::not_found("token", id))?;
        if id == BOOTSTRAP {
            return Err(AppError::Conflict {
                what: "the bootstrap token comes from the control plane's configuration".to_owned(),
                hint: "change it there and restart".to_owned(),
            });
        }
        if record.token.revoked_ms.is_some() {
            let why = format!("token {id} is revoked already: nothing to do");
            return self.unchanged(actor, deed, &record.token, "revoked", why).await;
        }
        record.token.revoked_ms = Some(self.clock.now_ms());
        let audit = self.audit_done(actor, deed, "valid", "revoked");
        self.store.commit(vec![Change::Token(record.clone()), audit]).await?;
        Ok(Changed::done(record.token))
    }
}
