//! From a byte stream to an HTTP request, and from `GET /v1/ws` to a connection that said hello.
//!
//! The upgrade is answered here and its memory given back; every other request goes to the HTTP API with the bytes
//! that were read already.

use std::{collections::BTreeMap, future::poll_fn, sync::Arc, time::Duration};

use domain::DeviceId;
use http::{HeaderMap, HeaderValue, Method, Request, header};
use protocol::frames::{ClientFrame, CloseCode, FrameError, SUBPROTOCOL};
use tokio::{io::AsyncWriteExt as _, time::timeout};
use tungstenite::handshake::server::{create_response, write_response};

use crate::{
    accept::{Full, Shaking},
    auth::{Identity, Unauthorized},
    gateway::Shared,
    socket::{ByteStream, Incoming, Io, Read, poll_append},
};

/// A request's head may take so long and be so large.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);
const HEAD_BYTES: usize = 16 * 1024;
const HEADERS: usize = 64;
/// `hello` must be the first frame within this time.
const HELLO_DEADLINE: Duration = Duration::from_secs(5);
/// How long a client may take to end its side after a close frame.
pub(crate) const LINGER_DEADLINE: Duration = Duration::from_secs(2);
/// What clients that are turned away are told, in seconds.
const RETRY_AFTER_S: u32 = 2;

/// A client that said hello with a good token.
pub(crate) struct Hello {
    pub(crate) io: Io,
    pub(crate) identity: Identity,
    pub(crate) device: DeviceId,
    pub(crate) resume: BTreeMap<String, u64>,
    /// Frames that came with it.
    pub(crate) more: Vec<Incoming>,
    /// Counts as a handshake until the connection is welcome.
    pub(crate) shaking: Shaking,
}

/// Reads the head of a request and takes it where it belongs. `None` when there is no connection in the end. Boxed in
/// here: rare branches, so that thousands of handshakes at once do not each keep room for all of them.
pub(crate) async fn run(
    shared: Arc<Shared>,
    mut stream: Box<dyn ByteStream>,
    full: Option<Full>,
    shaking: Shaking,
) -> Option<Box<Hello>> {
    let mut read = Vec::new();
    let (request, body) = timeout(HEAD_DEADLINE, read_head(&mut stream, &mut read)).await.ok()??;
    if request.uri().path() != "/v1/ws" {
        drop((request, shaking));
        Box::pin(crate::http::serve(shared, stream, read)).await;
        return None;
    }
    let rest = read.split_off(body);
    drop(read);
    let token = match upgrade(&shared, &request, full) {
        Ok((response, token)) => {
            timeout(HEAD_DEADLINE, stream.write_all(&response)).await.ok()?.ok()?;
            token
        }
        Err(refusal) => {
            shared.metrics.upgrades_refused.inc();
            let _ = timeout(HEAD_DEADLINE, stream.write_all(refusal.as_bytes())).await;
            let _ = timeout(HEAD_DEADLINE, stream.shutdown()).await;
            return None;
        }
    };
    drop(request);
    shared.metrics.upgrades.inc();
    let io = Io::new(stream, rest, shared.config.limits.outbound_bytes);
    hello(&shared, io, token, shaking).await
}

async fn read_head(stream: &mut Box<dyn ByteStream>, read: &mut Vec<u8>) -> Option<(Request<()>, usize)> {
    loop {
        if let Some(parsed) = parse_head(read)? {
            return Some(parsed);
        }
        if read.len() >= HEAD_BYTES || poll_fn(|cx| poll_append(stream, cx, read)).await.ok()? == 0 {
            return None;
        }
    }
}

/// The request and where its head ends; `Some(None)` while it is incomplete; `None` when it is no HTTP.
fn parse_head(bytes: &[u8]) -> Option<Option<(Request<()>, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let end = match parsed.parse(bytes).ok()? {
        httparse::Status::Complete(end) => end,
        httparse::Status::Partial => return Some(None),
    };
    let mut request = Request::builder().method(parsed.method?).uri(parsed.path?).version(match parsed.version? {
        0 => http::Version::HTTP_10,
        _ => http::Version::HTTP_11,
    });
    for header in parsed.headers {
        request = request.header(header.name, header.value);
    }
    Some(Some((request.body(()).ok()?, end)))
}

type Token = Option<Identity>;

/// Answers an upgrade: the response's bytes and who the token names, or a refusal.
fn upgrade(shared: &Shared, request: &Request<()>, full: Option<Full>) -> Result<(Vec<u8>, Token), String> {
    if shared.drain.refuses_connections() || shared.stop.is_cancelled() {
        return Err(refusal(503, "draining"));
    }
    match full {
        Some(Full::Connections) => return Err(refusal(503, "full")),
        Some(Full::Address) => return Err(refusal(503, "too many connections of this address")),
        Some(Full::Handshakes) => return Err(refusal(503, "shedding a reconnect storm")),
        None => {}
    }
    if request.method() != Method::GET {
        return Err(refusal(405, "an upgrade must be a GET"));
    }
    let offered = subprotocols(request.headers());
    if !offered.is_empty() && !offered.contains(&SUBPROTOCOL) {
        return Err(refusal(400, "no offered subprotocol is spoken here: chatfleet.v1.json is"));
    }
    let identity = match token_of(request) {
        Some(token) => Some(shared.auth.check(&token, shared.now_ms()).map_err(|why| refusal(401, &why.to_string()))?),
        None => None,
    };
    let mut response = create_response(request).map_err(|error| refusal(400, &error.to_string()))?;
    if !offered.is_empty() {
        response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    }
    let mut bytes = Vec::with_capacity(256);
    write_response(&mut bytes, &response).map_err(|error| refusal(400, &error.to_string()))?;
    Ok((bytes, identity))
}

fn subprotocols(headers: &HeaderMap) -> Vec<&str> {
    let values = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).map(str::trim).collect()
}

/// The token of the header, or of the query. The first counts.
pub(crate) fn token_of<B>(request: &Request<B>) -> Option<String> {
    if let Some(value) = request.headers().get(header::AUTHORIZATION) {
        // A header that is there and no bearer token is a bad token, not a missing one.
        let bearer = value.to_str().ok().and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
        });
        return Some(bearer.unwrap_or_default());
    }
    let query = request.uri().query()?;
    query.split('&').find_map(|pair| pair.strip_prefix("token=")).map(str::to_owned)
}

fn refusal(status: u16, why: &str) -> String {
    let reason = http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("");
    let code = match status {
        401 => "unauthorized",
        503 => "unavailable",
        _ => "invalid",
    };
    let body = serde_json::json!({"error": {"code": code, "message": why}}).to_string();
    let retry = if status == 503 { format!("Retry-After: {RETRY_AFTER_S}\r\n") } else { String::new() };
    format!(
        "HTTP/1.1 {status} {reason}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{retry}Connection: close\r\n\r\n{body}",
        body.len()
    )
}

/// Waits for `hello`, the first frame. Anything else closes with 4004; a bad or missing token with 4003.
async fn hello(shared: &Shared, mut io: Io, identity: Token, shaking: Shaking) -> Option<Box<Hello>> {
    let first = poll_fn(|cx| io.poll_read(cx, shared.now_ms(), true));
    let mut incoming = match timeout(HELLO_DEADLINE, first).await {
        Ok(Read::Incoming(incoming)) => incoming.into_iter(),
        Ok(Read::Closed) => return None,
        Err(_) => return Box::pin(close(shared, io, CloseCode::Violation)).await,
    };
    let hello = match incoming.next() {
        Some(Incoming::Frame(Ok(ClientFrame::Hello { device, token, resume }))) => (device, token, resume),
        Some(Incoming::Frame(Err(FrameError::Refused(error)))) => {
            // The frame was no hello that can be taken: say what is wrong with it before the close.
            let text = protocol::frames::ServerFrame::Error(error).encode();
            io.push(crate::socket::text_frame(&text));
            return Box::pin(close(shared, io, CloseCode::Violation)).await;
        }
        _ => return Box::pin(close(shared, io, CloseCode::Violation)).await,
    };
    let (device, token, resume) = hello;
    let identity = match (identity, token) {
        (Some(identity), _) => Ok(identity),
        (None, Some(token)) => shared.auth.check(&token, shared.now_ms()),
        (None, None) => Err(Unauthorized::Missing),
    };
    let (Ok(identity), Ok(device)) = (identity, DeviceId::parse(&device)) else {
        return Box::pin(close(shared, io, CloseCode::Unauthorized)).await;
    };
    Some(Box::new(Hello { io, identity, device, resume, more: incoming.collect(), shaking }))
}

/// Says goodbye and gives the client a moment to take it.
pub(crate) async fn close(shared: &Shared, mut io: Io, code: CloseCode) -> Option<Box<Hello>> {
    io.close(code);
    let said = async {
        poll_fn(|cx| io.poll_flush(cx, shared.now_ms())).await;
        poll_fn(|cx| io.poll_linger(cx)).await;
    };
    let _ = timeout(LINGER_DEADLINE, said).await;
    None
}

/// Whom an HTTP request's token names.
pub(crate) fn identify<B>(shared: &Shared, request: &Request<B>) -> Result<Identity, Unauthorized> {
    let token = token_of(request).ok_or(Unauthorized::Missing)?;
    shared.auth.check(&token, shared.now_ms())
}
