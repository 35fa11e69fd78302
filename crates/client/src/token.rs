//! Where a client's token comes from.

use crate::BoxFuture;

/// Why there is no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no token for {user}: {why}")]
pub struct TokenError {
    /// For whom.
    pub user: String,
    /// What happened.
    pub why: String,
}

/// Gives the token of a user. Asked before the first connection and whenever a gateway has refused the last one.
pub trait TokenSource: Send + Sync {
    /// A token that is good now.
    fn token(&self, user: &str) -> BoxFuture<'static, Result<String, TokenError>>;
}

/// A closure that has the token at hand.
impl<F: Fn(&str) -> String + Send + Sync> TokenSource for F {
    fn token(&self, user: &str) -> BoxFuture<'static, Result<String, TokenError>> {
        let token = self(user);
        Box::pin(async move { Ok(token) })
    }
}
