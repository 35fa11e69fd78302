//! Names of users, devices, conversations and nodes: 1-64 characters of `[A-Za-z0-9_.-]`.

use std::{fmt, sync::Arc};

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text is empty or longer than 64 bytes.
    #[error("must have 1-64 characters, has {0}")]
    Length(usize),
    /// The text has a character outside `[A-Za-z0-9_.-]`.
    #[error("may only have characters of [A-Za-z0-9_.-], has {0:?}")]
    Character(char),
}

fn check(text: &str) -> Result<(), IdError> {
    let strange = |c: &char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
    if let Some(c) = text.chars().find(strange) {
        return Err(IdError::Character(c));
    }
    if text.is_empty() || text.len() > 64 {
        return Err(IdError::Length(text.len()));
    }
    Ok(())
}

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// Cheap to clone: the text is shared.
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and takes a name.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                check(text)?;
                Ok(Self(text.into()))
            }

            /// The text of the name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::parse(text)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

id_type!(
    /// A person, as the token's `sub` names them.
    UserId
);
id_type!(
    /// One of a user's devices.
    DeviceId
);
id_type!(
    /// A direct conversation, a group or a channel.
    ConversationId
);
id_type!(
    /// A gateway, a worker or a control-plane replica.
    NodeId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        assert!(UserId::parse("alice_-.9").is_ok());
        assert!(UserId::parse(&"a".repeat(64)).is_ok());
        assert_eq!(UserId::parse(""), Err(IdError::Length(0)));
        assert_eq!(UserId::parse(&"a".repeat(65)), Err(IdError::Length(65)));
        assert_eq!(UserId::parse("a b"), Err(IdError::Character(' ')));
        assert_eq!(UserId::parse("é"), Err(IdError::Character('é')));
        assert_eq!(UserId::parse("a\0"), Err(IdError::Character('\0')));
    }
}
