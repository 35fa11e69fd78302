//! A client as lean as can be: no library between the program and the socket, so that the gateway is what is measured.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpSocket, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use super::Failure;

/// Appends a text frame. Its mask is zero, which is a mask: the payload is as it was.
pub(crate) fn frame(bytes: &mut Vec<u8>, text: &str) {
    bytes.push(0x81);
    match text.len() {
        n @ 0..=125 => bytes.push(0x80 | n as u8),
        n => {
            bytes.push(0x80 | 126);
            bytes.extend((n as u16).to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    bytes.extend(text.as_bytes());
}

/// Bytes of a gateway, cut into frames.
#[derive(Default)]
pub(crate) struct Frames {
    bytes: Vec<u8>,
    taken: usize,
}

impl Frames {
    /// The payload of the next text frame, if it is there. Other frames are skipped.
    pub(crate) fn next(&mut self) -> Option<&[u8]> {
        loop {
            let bytes = &self.bytes[self.taken..];
            let (first, short) = (*bytes.first()?, *bytes.get(1)?);
            let (start, length) = match short {
                126 => (4, u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?) as usize),
                127 => (10, u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?) as usize),
                n => (2, n as usize),
            };
            if bytes.len() < start + length {
                return None;
            }
            let from = self.taken + start;
            self.taken = from + length;
            if first & 0x0f == 1 {
                return Some(&self.bytes[from..from + length]);
            }
        }
    }

    /// Reads more. False at the end.
    pub(crate) async fn fill(&mut self, from: &mut (impl tokio::io::AsyncRead + Unpin)) -> std::io::Result<bool> {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        // An idle client of a crowd keeps no buffer.
        if self.bytes.is_empty() && self.bytes.capacity() > 64 * 1024 {
            self.bytes = Vec::new();
        }
        Ok(from.read_buf(&mut self.bytes).await? > 0)
    }
}

/// A connection that said hello and was told `synced`.
pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
    pub(crate) frames: Frames,
}

impl Raw {
    /// Upgrades, says hello as device `d` and waits for the end of the replay.
    pub(crate) async fn connect(to: SocketAddr, from: SocketAddr, token: &str, resume: &str) -> Result<Self, Failure> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(from)?;
        let mut stream = socket.connect(to).await?;
        stream.set_nodelay(true)?;
        let upgrade = format!(
            "GET /v1/ws HTTP/1.1\r\nHost: bench\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer {token}\r\n\r\n"
        );
        stream.write_all(upgrade.as_bytes()).await?;
        let mut head = Vec::with_capacity(512);
        let end = loop {
            if stream.read_buf(&mut head).await? == 0 {
                return Err("the upgrade was hung up on".into());
            }
            if let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
        };
        if !head.starts_with(b"HTTP/1.1 101") {
            return Err(String::from_utf8_lossy(&head).into_owned().into());
        }
        head.drain(..end);
        let mut frames = Frames { bytes: head, taken: 0 };
        let mut hello = Vec::new();
        frame(&mut hello, &format!(r#"{{"type":"hello","device":"d","resume":{resume}}}"#));
        stream.write_all(&hello).await?;
        loop {
            while let Some(text) = frames.next() {
                if text.starts_with(br#"{"type":"synced""#) {
                    return Ok(Self { stream, frames });
                }
            }
            if !frames.fill(&mut stream).await? {
                return Err("the connection ended before synced".into());
            }
        }
    }

    /// The two directions.
    pub(crate) fn split(self) -> (OwnedReadHalf, OwnedWriteHalf, Frames) {
        let (read, write) = self.stream.into_split();
        (read, write, self.frames)
    }
}
