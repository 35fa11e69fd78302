//! Frames that a client writes.

use std::io::Cursor;

use protocol::frames::{ClientFrame, FrameError, MAX_FRAME_BYTES};
use tungstenite::protocol::frame::{
    FrameHeader,
    coding::{Control, Data, OpCode},
};

/// What a client's bytes came to.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// A frame of the protocol, or why it is none.
    Frame(Result<ClientFrame, FrameError>),
    /// To be answered with a pong.
    Ping(Vec<u8>),
    /// The client closes.
    Close,
    /// Not WebSocket, or more than allowed: close with 4004.
    Violation(&'static str),
}

/// A fragmented message under way.
pub(super) type Fragments = Option<Box<Vec<u8>>>;

/// Takes one frame from the start of `bytes`. Returns how many bytes it had and what it was (nothing for pongs and
/// fragments), or `None` when it is incomplete.
pub(super) fn decode_one(bytes: &mut [u8], fragments: &mut Fragments) -> Option<(usize, Option<Incoming>)> {
    let mut cursor = Cursor::new(&*bytes);
    let violation = |why| Some((bytes.len(), Some(Incoming::Violation(why))));
    let (header, length) = match FrameHeader::parse(&mut cursor) {
        Ok(Some(parsed)) => parsed,
        Ok(None) => return None,
        Err(_) => return violation("not a websocket frame"),
    };
    if header.rsv1 || header.rsv2 || header.rsv3 {
        return violation("reserved bits are set");
    }
    let Some(mask) = header.mask else { return violation("a client's frames must be masked") };
    if length > MAX_FRAME_BYTES as u64 {
        return violation("a frame may have 128 KiB");
    }
    // Both fit: the length was bounded above.
    let (start, length) = (cursor.position() as usize, length as usize);
    let end = start + length;
    if bytes.len() < end {
        return None;
    }
    let payload = &mut bytes[start..end];
    unmask(payload, mask);
    Some((end, take(&header, payload, fragments)))
}

fn take(header: &FrameHeader, payload: &[u8], fragments: &mut Fragments) -> Option<Incoming> {
    match header.opcode {
        OpCode::Control(_) if !header.is_final || payload.len() > 125 => {
            Some(Incoming::Violation("a control frame is fragmented or too long"))
        }
        OpCode::Control(Control::Ping) => Some(Incoming::Ping(payload.to_vec())),
        OpCode::Control(Control::Pong) => None,
        OpCode::Control(Control::Close) => Some(Incoming::Close),
        OpCode::Control(Control::Reserved(_)) | OpCode::Data(Data::Reserved(_)) => {
            Some(Incoming::Violation("unknown opcode"))
        }
        OpCode::Data(Data::Binary) => Some(Incoming::Violation("binary frames are not accepted")),
        OpCode::Data(Data::Text) if fragments.is_some() => Some(Incoming::Violation("a fragment is missing its end")),
        OpCode::Data(Data::Text) if header.is_final => Some(text(payload)),
        OpCode::Data(Data::Text) => {
            *fragments = Some(Box::new(payload.to_vec()));
            None
        }
        OpCode::Data(Data::Continue) => {
            let Some(mut whole) = fragments.take() else {
                return Some(Incoming::Violation("a continuation without a beginning"));
            };
            if whole.len() + payload.len() > MAX_FRAME_BYTES {
                return Some(Incoming::Violation("a message may have 128 KiB"));
            }
            whole.extend_from_slice(payload);
            if header.is_final {
                return Some(text(&whole));
            }
            *fragments = Some(whole);
            None
        }
    }
}

fn text(payload: &[u8]) -> Incoming {
    match std::str::from_utf8(payload) {
        Ok(text) => Incoming::Frame(ClientFrame::decode(text)),
        Err(_) => Incoming::Violation("a text frame must be UTF-8"),
    }
}

/// XORs with the mask, eight bytes at a time.
fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let wide = u64::from_ne_bytes([mask[0], mask[1], mask[2], mask[3], mask[0], mask[1], mask[2], mask[3]]);
    let mut chunks = payload.chunks_exact_mut(8);
    for chunk in &mut chunks {
        if let Ok(bytes) = <[u8; 8]>::try_from(&*chunk) {
            chunk.copy_from_slice(&(u64::from_ne_bytes(bytes) ^ wide).to_ne_bytes());
        }
    }
    for (byte, key) in chunks.into_remainder().iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client's frame: FIN and opcode as the first byte, masked.
    fn client_frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mask = [1, 2, 3, 4];
        let mut bytes = vec![first];
        match payload.len() {
            n @ 0..=125 => bytes.push(0x80 | n as u8),
            n @ 126..=65_535 => {
                bytes.push(0x80 | 126);
                bytes.extend_from_slice(&(n as u16).to_be_bytes());
            }
            n => {
                bytes.push(0x80 | 127);
                bytes.extend_from_slice(&(n as u64).to_be_bytes());
            }
        }
        bytes.extend_from_slice(&mask);
        bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
        bytes
    }

    fn one(mut bytes: Vec<u8>) -> Option<Incoming> {
        decode_one(&mut bytes, &mut None).and_then(|(_, incoming)| incoming)
    }

    #[test]
    fn every_prefix_is_incomplete_and_the_whole_is_a_frame() {
        let whole = client_frame(0x81, br#"{"type":"heartbeat"}"#);
        for end in 0..whole.len() {
            assert!(decode_one(&mut whole[..end].to_vec(), &mut None).is_none(), "{end}");
        }
        assert!(matches!(one(whole), Some(Incoming::Frame(Ok(ClientFrame::Heartbeat)))));
    }

    #[test]
    fn fragments_are_joined_and_controls_may_come_between() {
        let mut fragments = None;
        let mut feed = |bytes: Vec<u8>| decode_one(&mut bytes.clone(), &mut fragments).unwrap().1;
        assert!(feed(client_frame(0x01, br#"{"type":"#)).is_none());
        assert!(matches!(feed(client_frame(0x89, b"hi")), Some(Incoming::Ping(_))));
        assert!(feed(client_frame(0x00, br#""heart"#)).is_none());
        let last = feed(client_frame(0x80, br#"beat"}"#));
        assert!(matches!(last, Some(Incoming::Frame(Ok(ClientFrame::Heartbeat)))));
    }

    #[test]
    fn violations() {
        let violation = |bytes| matches!(one(bytes), Some(Incoming::Violation(_)));
        assert!(violation(client_frame(0x82, b"binary")));
        assert!(violation(client_frame(0x80, b"no beginning")));
        assert!(violation(client_frame(0xc1, b"{}")));
        assert!(violation(client_frame(0x81, &[0xff, 0xfe])));
        assert!(violation(client_frame(0x81, &vec![b' '; MAX_FRAME_BYTES + 1])));
        assert!(violation(client_frame(0x09, b"fragmented ping")));
        assert!(violation(vec![0x81, 0x02, b'{', b'}']), "not masked");
        assert!(violation(client_frame(0x83, b"reserved")));
    }
}
