//! Bodies of the control plane's HTTP API (`/v1/...`). Names are stable: programs read them, and so does `-o json`.

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $word:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$word_doc])* $word),+ }

        impl $name {
            /// The word on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$word => $text),+ }
            }

            /// Reads the word back.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$word),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

mod access;
mod capacity;
mod consistency;
mod incidents;
mod nodes;
mod operations;
mod overrides;
mod overview;
mod problem;
mod reconcile;
mod rollout;
mod runbooks;
mod sessions;

pub use self::{
    access::*, capacity::*, consistency::*, incidents::*, nodes::*, operations::*, overrides::*, overview::*,
    problem::*, reconcile::*, rollout::*, runbooks::*, sessions::*,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_on_the_wire_are_the_words_in_code() {
        for state in ["running", "cancelling", "succeeded", "failed", "cancelled"] {
            let parsed = OperationState::parse(state).unwrap();
            assert_eq!(serde_json::to_string(&parsed).unwrap(), format!("\"{state}\""));
        }
        assert_eq!(serde_json::to_string(&ProblemCode::MethodNotAllowed).unwrap(), "\"method_not_allowed\"");
        assert!(Role::Viewer < Role::Operator && Role::Operator < Role::Admin);
    }

    #[test]
    fn a_secret_is_not_in_debug_output() {
        let token = Token {
            id: "t-1".into(),
            name: "ann".into(),
            role: Role::Viewer,
            created_ms: 1,
            expires_ms: None,
            revoked_ms: None,
        };
        let created = TokenCreated { token, secret: "hush".into() };
        assert!(!format!("{created:?}").contains("hush"));
    }
}
