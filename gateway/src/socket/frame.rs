//! Frames that the gateway writes: whole, unmasked, ready to be shared by many sockets.

use bytes::Bytes;
use protocol::frames::CloseCode;
use tungstenite::protocol::frame::{
    FrameHeader,
    coding::{Control, Data, OpCode},
};

/// A finished frame: header and payload in one piece, so that a delivery is serialised once for all its sockets.
fn frame(opcode: OpCode, payload: &[u8]) -> Bytes {
    let header = FrameHeader { opcode, ..FrameHeader::default() };
    let mut bytes = Vec::with_capacity(payload.len() + 10);
    // Writing into a vector cannot fail.
    let _ = header.format(payload.len() as u64, &mut bytes);
    bytes.extend_from_slice(payload);
    bytes.into()
}

/// A text frame.
pub(crate) fn text_frame(text: &str) -> Bytes {
    frame(OpCode::Data(Data::Text), text.as_bytes())
}

/// The answer to a ping.
pub(super) fn pong_frame(payload: &[u8]) -> Bytes {
    frame(OpCode::Control(Control::Pong), payload)
}

/// A transport keepalive.
pub(super) fn ping_frame() -> Bytes {
    frame(OpCode::Control(Control::Ping), &[])
}

/// A close frame with its reason.
pub(super) fn close_frame(code: CloseCode) -> Bytes {
    close_frame_raw(code as u16, code.reason())
}

/// The echo of a client's close frame.
pub(super) fn close_frame_raw(code: u16, reason: &str) -> Bytes {
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend_from_slice(reason.as_bytes());
    frame(OpCode::Control(Control::Close), &payload)
}
