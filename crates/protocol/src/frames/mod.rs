//! The client protocol, version 1: one JSON object a text frame.

mod client;
mod decode;
mod server;

pub use client::{ClientFrame, Receipt, SendMessage};
pub use decode::{FrameError, HISTORY_LIMIT_DEFAULT, LIST_LIMIT_DEFAULT, PAGE_LIMIT_MAX, RESUME_MAX, WATCH_MAX};
pub(crate) use decode::{check_body, parse_key};
pub use server::{
    Change, ConversationHead, ErrorCode, ErrorFrame, Kind, MessageFrame, Page, Reconnect, ServerFrame, Welcome,
};

/// The subprotocol a client offers, and the one assumed when it offers none.
pub const SUBPROTOCOL: &str = "chatfleet.v1.json";
/// A larger frame closes the connection with 4004.
pub const MAX_FRAME_BYTES: usize = 128 * 1024;

/// Why a gateway closes a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum CloseCode {
    /// The gateway goes away or its drain deadline passed: reconnect with backoff.
    GoingAway = 1001,
    /// The same user and device connected with a higher version: do not reconnect.
    Superseded = 4001,
    /// Unauthorized, or the token expired: fetch a new token.
    Unauthorized = 4003,
    /// Protocol violation: fix the client.
    Violation = 4004,
    /// Slow consumer: reconnect and resume.
    Slow = 4008,
    /// No heartbeat for 90 s: reconnect.
    NoHeartbeat = 4010,
}

impl CloseCode {
    /// The text that goes with the code.
    pub fn reason(self) -> &'static str {
        match self {
            Self::GoingAway => "going away",
            Self::Superseded => "superseded by a newer session",
            Self::Unauthorized => "unauthorized",
            Self::Violation => "protocol violation",
            Self::Slow => "slow consumer",
            Self::NoHeartbeat => "no heartbeat for 90 s",
        }
    }
}
