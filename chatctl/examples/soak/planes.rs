//! Two control planes that share MySQL, and how the one that leads is lost.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use crate::fleet::{Fleet, until};

/// The control planes, and where they serve.
pub(crate) const PLANES: [(&str, &str); 2] = [("control-1", "127.0.0.1:7800"), ("control-2", "127.0.0.1:7810")];
/// Another control plane leads by then.
const TAKEOVER_MAX: Duration = Duration::from_secs(10);

/// deploy/local/fleet.toml with two control planes, of which these settings are.
pub(crate) fn with_two(text: &str, settings: &str) -> String {
    let url = text.lines().find_map(|line| line.strip_prefix("url = ")).unwrap_or_default();
    let planes = PLANES.map(|(id, listen)| {
        let nodes = listen.replace(":78", ":79");
        format!("[[control_planes]]\nid = \"{id}\"\nlisten = \"{listen}\"\nnodes.listen = \"{nodes}\"\n\n")
    });
    let shared = format!("store.url = {url}\n{settings}\n\n{}", planes.concat());
    text.replace("listen = \"127.0.0.1:7800\"\nnodes.listen = \"127.0.0.1:7900\"\n", &shared)
}

/// Stops the control plane that leads until the other one does, then kills it: the supervisor starts it again, as one
/// that waits. Says how long nobody led. (One that is killed at once is back before its lease is over, and leads on.)
pub(crate) fn lose_leader(fleet: &Fleet) -> Result<Duration, String> {
    let name = until("a control plane leads", || leader(None))?;
    let began = Instant::now();
    fleet.signal(name, "STOP")?;
    let other = until("another control plane leads", || leader(Some(name)));
    let took = began.elapsed();
    fleet.signal(name, "KILL")?;
    other?;
    if took <= TAKEOVER_MAX { Ok(took) } else { Err(format!("another control plane led only after {took:?}")) }
}

/// The control plane that leads, if not `but`.
fn leader(but: Option<&str>) -> Option<&'static str> {
    let others = PLANES.into_iter().filter(|(name, _)| Some(*name) != but);
    others.filter(|(_, at)| is_ready(at)).map(|(name, _)| name).next()
}

/// It says of itself that it leads.
fn is_ready(at: &str) -> bool {
    let ask = || -> std::io::Result<bool> {
        let at: SocketAddr = at.parse().map_err(std::io::Error::other)?;
        let mut stream = TcpStream::connect_timeout(&at, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"GET /readyz HTTP/1.0\r\n\r\n")?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        Ok(status.ends_with(b" 200"))
    };
    ask().unwrap_or(false)
}
