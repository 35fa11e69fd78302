//! Reading a client's frame: every fault gets an answer that names the field and says what is wrong with it.

use std::{borrow::Cow, collections::BTreeMap};

use domain::{ConversationId, DeviceId, MAX_BODY_BYTES, UserId};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{ClientFrame, ErrorCode, ErrorFrame, Receipt, SendMessage};

/// Most items in one page of `list`, `sync` and `history`.
pub const PAGE_LIMIT_MAX: usize = 500;
/// Page of `list` and `sync` when the client names none.
pub const LIST_LIMIT_DEFAULT: usize = 100;
/// Page of `history` when the client names none.
pub const HISTORY_LIMIT_DEFAULT: usize = 50;
/// Most entries of `hello.resume`.
pub const RESUME_MAX: usize = 1_000;
/// Most users of `watch`.
pub const WATCH_MAX: usize = 500;
/// Numbers stay below 2^53, so that every language's JSON can hold them.
const NUMBER_END: u64 = 1 << 53;

/// What to do with a frame that cannot be taken.
#[derive(Debug, Clone, PartialEq)]
pub enum FrameError {
    /// Not a JSON object: close with 4004.
    Violation(&'static str),
    /// Answer with this error; the connection stays.
    Refused(ErrorFrame),
}

/// All fields any frame has, unread. Unknown fields are ignored.
#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    device: Option<&'a RawValue>,
    #[serde(borrow)]
    token: Option<&'a RawValue>,
    #[serde(borrow)]
    resume: Option<&'a RawValue>,
    #[serde(borrow)]
    idempotency_key: Option<&'a RawValue>,
    #[serde(borrow)]
    conversation: Option<&'a RawValue>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
    #[serde(borrow)]
    after: Option<&'a RawValue>,
    #[serde(borrow)]
    before: Option<&'a RawValue>,
    #[serde(borrow)]
    limit: Option<&'a RawValue>,
    #[serde(borrow)]
    delivered: Option<&'a RawValue>,
    #[serde(borrow)]
    read: Option<&'a RawValue>,
    #[serde(borrow)]
    users: Option<&'a RawValue>,
}

impl ClientFrame {
    /// Reads the text of one frame.
    pub fn decode(text: &str) -> Result<Self, FrameError> {
        let raw = match serde_json::from_str::<Raw<'_>>(text) {
            Ok(raw) if text.trim_start().starts_with('{') => raw,
            Err(error) if error.is_data() && text.trim_start().starts_with('{') => {
                // An object all the same, such as one with a field twice.
                return Err(FrameError::Refused(ErrorFrame::new(ErrorCode::Invalid, error.to_string())));
            }
            _ => return Err(FrameError::Violation("a frame must be one JSON object")),
        };
        raw.frame().map_err(|mut error| {
            // The request is named in its refusal as far as it can be read.
            error.idempotency_key = raw.idempotency_key.and_then(|key| serde_json::from_str(key.get()).ok());
            error.conversation = raw.conversation.and_then(|id| serde_json::from_str(id.get()).ok());
            FrameError::Refused(error)
        })
    }
}

type Refusal<T> = Result<T, ErrorFrame>;

fn invalid(field: &str, why: impl std::fmt::Display) -> ErrorFrame {
    ErrorFrame::new(ErrorCode::Invalid, format!("{field}: {why}"))
}

/// The value of a field that must be there.
fn required<T: DeserializeOwned>(field: &str, raw: Option<&RawValue>, expected: &str) -> Refusal<T> {
    let raw = raw.ok_or_else(|| invalid(field, "is missing"))?;
    serde_json::from_str(raw.get()).map_err(|_| invalid(field, format_args!("must be {expected}")))
}

/// The value of a field that may be missing or null.
fn optional<T: DeserializeOwned>(field: &str, raw: Option<&RawValue>, expected: &str) -> Refusal<Option<T>> {
    match raw {
        None => Ok(None),
        Some(raw) if raw.get() == "null" => Ok(None),
        some => required(field, some, expected).map(Some),
    }
}

fn number(field: &str, raw: Option<&RawValue>) -> Refusal<Option<u64>> {
    match optional::<u64>(field, raw, "an integer, 0 or more and below 2^53")? {
        Some(n) if n >= NUMBER_END => Err(invalid(field, "must be below 2^53")),
        n => Ok(n),
    }
}

fn limit(raw: Option<&RawValue>, default: usize) -> Refusal<usize> {
    match optional::<usize>("limit", raw, "an integer from 1 to 500")? {
        None => Ok(default),
        Some(n @ 1..=PAGE_LIMIT_MAX) => Ok(n),
        Some(_) => Err(invalid("limit", "must be an integer from 1 to 500")),
    }
}

/// A UUID in its usual form of 36 characters, any version, lower or upper case.
pub(crate) fn parse_key(text: &str) -> Option<Uuid> {
    (text.len() == 36).then(|| Uuid::try_parse(text).ok()).flatten()
}

impl Raw<'_> {
    fn frame(&self) -> Refusal<ClientFrame> {
        let kind: String = required("type", self.kind, "a string")?;
        Ok(match kind.as_str() {
            "hello" => self.hello()?,
            "send" => self.send()?,
            "heartbeat" => ClientFrame::Heartbeat,
            "list" => ClientFrame::List { after: self.list_after()?, limit: limit(self.limit, LIST_LIMIT_DEFAULT)? },
            "sync" => {
                let after = number("after", self.after)?.ok_or_else(|| invalid("after", "is missing"))?;
                ClientFrame::Sync {
                    conversation: self.conversation()?,
                    after,
                    limit: limit(self.limit, LIST_LIMIT_DEFAULT)?,
                }
            }
            "history" => ClientFrame::History {
                conversation: self.conversation()?,
                before: number("before", self.before)?,
                limit: limit(self.limit, HISTORY_LIMIT_DEFAULT)?,
            },
            "receipt" => {
                let delivered = number("delivered", self.delivered)?;
                ClientFrame::Receipt(Receipt {
                    conversation: self.conversation()?,
                    delivered,
                    read: number("read", self.read)?,
                })
            }
            "typing" => ClientFrame::Typing { conversation: self.conversation()? },
            "watch" => self.watch()?,
            "subscribe" => ClientFrame::Subscribe { conversation: self.conversation()? },
            "unsubscribe" => ClientFrame::Unsubscribe { conversation: self.conversation()? },
            other => {
                let shown: String = other.chars().take(64).collect();
                return Err(ErrorFrame::new(ErrorCode::UnknownType, format!("unknown type {shown:?}")));
            }
        })
    }

    fn conversation(&self) -> Refusal<String> {
        let id: String = required("conversation", self.conversation, "a string")?;
        ConversationId::parse(&id).map_err(|why| invalid("conversation", why))?;
        Ok(id)
    }

    fn list_after(&self) -> Refusal<Option<String>> {
        let after: Option<String> = optional("after", self.after, "a conversation id")?;
        if let Some(id) = &after {
            ConversationId::parse(id).map_err(|why| invalid("after", why))?;
        }
        Ok(after)
    }

    fn hello(&self) -> Refusal<ClientFrame> {
        let device: String = required("device", self.device, "a string")?;
        DeviceId::parse(&device).map_err(|why| invalid("device", why))?;
        let resume: BTreeMap<String, u64> =
            optional("resume", self.resume, "an object of conversation id to sequence number")?.unwrap_or_default();
        if resume.len() > RESUME_MAX {
            return Err(invalid("resume", format_args!("has {} entries, at most {RESUME_MAX}", resume.len())));
        }
        for (id, last_seen) in &resume {
            ConversationId::parse(id).map_err(|why| invalid("resume", format_args!("{why} (a conversation id)")))?;
            if *last_seen >= NUMBER_END {
                return Err(invalid("resume", format_args!("{id}: must be below 2^53")));
            }
        }
        Ok(ClientFrame::Hello { device, token: optional("token", self.token, "a string")?, resume })
    }

    fn send(&self) -> Refusal<ClientFrame> {
        let key_text: String = required("idempotency_key", self.idempotency_key, "a UUID")?;
        let key = parse_key(&key_text).ok_or_else(|| invalid("idempotency_key", "must be a UUID"))?;
        let conversation = self.conversation()?;
        let raw = self.body.ok_or_else(|| invalid("body", "is missing"))?;
        let body: Cow<'_, str> =
            serde_json::from_str(raw.get()).map_err(|_| invalid("body", "must be a string of valid UTF-8"))?;
        check_body(&body)?;
        Ok(ClientFrame::Send(SendMessage { key_text, key, conversation, body: body.into_owned() }))
    }

    fn watch(&self) -> Refusal<ClientFrame> {
        let users: Vec<String> = required("users", self.users, "an array of user ids")?;
        if users.len() > WATCH_MAX {
            return Err(invalid("users", format_args!("has {} entries, at most {WATCH_MAX}", users.len())));
        }
        for user in &users {
            UserId::parse(user).map_err(|why| invalid("users", why))?;
        }
        Ok(ClientFrame::Watch { users })
    }
}

/// A body has 1 to 16,384 bytes.
pub(crate) fn check_body(body: &str) -> Refusal<()> {
    if body.is_empty() {
        return Err(invalid("body", "must not be empty"));
    }
    if body.len() > MAX_BODY_BYTES {
        let why = format!("body: has {} bytes, at most {MAX_BODY_BYTES}", body.len());
        return Err(ErrorFrame::new(ErrorCode::TooLarge, why));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refused(text: &str) -> (ErrorCode, String) {
        match ClientFrame::decode(text) {
            Err(FrameError::Refused(error)) => (error.code, error.message),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn what_is_not_an_object_is_a_violation() {
        for text in ["", "hello", "[]", "[1,2]", "\"x\"", "1", "null", "{", "{\"type\":\"heartbeat\"} x", "\u{0}"] {
            assert!(matches!(ClientFrame::decode(text), Err(FrameError::Violation(_))), "{text:?}");
        }
    }

    #[test]
    fn a_refusal_names_the_field() {
        use ErrorCode::*;
        let key = "3f0d3a52-3b1e-4d52-9c25-0d6f7f6f0a01";
        let cases = [
            ("{}".to_owned(), Invalid, "type: is missing"),
            (r#"{"type":7}"#.to_owned(), Invalid, "type: must be a string"),
            (r#"{"type":"dance"}"#.to_owned(), UnknownType, "unknown type \"dance\""),
            (r#"{"type":"send"}"#.to_owned(), Invalid, "idempotency_key: is missing"),
            (r#"{"type":"send","idempotency_key":"7"}"#.to_owned(), Invalid, "idempotency_key: must be a UUID"),
            (format!(r#"{{"type":"send","idempotency_key":"{key}"}}"#), Invalid, "conversation: is missing"),
            (
                format!(r#"{{"type":"send","idempotency_key":"{key}","conversation":"a b","body":"x"}}"#),
                Invalid,
                "conversation: may only have characters of [A-Za-z0-9_.-], has ' '",
            ),
            (
                format!(r#"{{"type":"send","idempotency_key":"{key}","conversation":"a","body":""}}"#),
                Invalid,
                "body: must not be empty",
            ),
            (
                format!(r#"{{"type":"send","idempotency_key":"{key}","conversation":"a","body":"\ud800"}}"#),
                Invalid,
                "body: must be a string of valid UTF-8",
            ),
            (
                format!(
                    r#"{{"type":"send","idempotency_key":"{key}","conversation":"a","body":"{}"}}"#,
                    "x".repeat(16_385)
                ),
                TooLarge,
                "body: has 16385 bytes, at most 16384",
            ),
            (
                r#"{"type":"sync","conversation":"a","after":-1}"#.to_owned(),
                Invalid,
                "after: must be an integer, 0 or more and below 2^53",
            ),
            (
                r#"{"type":"sync","conversation":"a","after":0,"limit":501}"#.to_owned(),
                Invalid,
                "limit: must be an integer from 1 to 500",
            ),
            (r#"{"type":"hello"}"#.to_owned(), Invalid, "device: is missing"),
            (
                r#"{"type":"hello","device":"d","resume":{"a":9007199254740992}}"#.to_owned(),
                Invalid,
                "resume: a: must be below 2^53",
            ),
        ];
        for (text, code, message) in cases {
            assert_eq!(refused(&text), (code, message.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_refusal_echoes_key_and_conversation() {
        let text = r#"{"type":"send","idempotency_key":"nope","conversation":"c","body":"x"}"#;
        let Err(FrameError::Refused(error)) = ClientFrame::decode(text) else { panic!() };
        assert_eq!((error.idempotency_key.as_deref(), error.conversation.as_deref()), (Some("nope"), Some("c")));
    }

    #[test]
    fn upper_case_is_the_same_key() {
        let frame = |key: &str| {
            let text = format!(r#"{{"type":"send","idempotency_key":"{key}","conversation":"c","body":"x","new":1}}"#);
            let Ok(ClientFrame::Send(send)) = ClientFrame::decode(&text) else { panic!() };
            send
        };
        let (upper, lower) =
            (frame("3F0D3A52-3B1E-4D52-9C25-0D6F7F6F0A01"), frame("3f0d3a52-3b1e-4d52-9c25-0d6f7f6f0a01"));
        assert_eq!(upper.key, lower.key);
        assert_ne!(upper.key_text, lower.key_text);
    }

    proptest! {
        #[test]
        fn decoding_never_panics(text in ".{0,200}") {
            let _ = ClientFrame::decode(&text);
        }

        #[test]
        fn what_a_client_encodes_a_gateway_reads(body in ".{1,200}", key in any::<u128>(), after in 0_u64..1 << 53) {
            let send = ClientFrame::Send(SendMessage::new(Uuid::from_u128(key), "c", body));
            prop_assert_eq!(ClientFrame::decode(&send.encode()), Ok(send));
            let sync = ClientFrame::Sync { conversation: "c".into(), after, limit: 7 };
            prop_assert_eq!(ClientFrame::decode(&sync.encode()), Ok(sync));
        }
    }
}
