//! Gateways by their `ws://` URLs.

use std::sync::Arc;

use tokio::net::TcpStream;

use crate::{Attempt, BoxFuture, Connect, ConnectError, Connected};

/// Why a list of URLs cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No URL at all.
    #[error("no gateway is given: name at least one ws:// URL")]
    Empty,
    /// TLS is not built in.
    #[error("{0}: wss:// is not supported yet: put a TLS proxy before the client or use ws://")]
    Secure(String),
    /// Not a `ws://` URL.
    #[error("{url}: {why}")]
    Invalid {
        /// What was given.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

struct Address {
    url: Arc<str>,
    /// Host and port, to dial.
    target: String,
    /// As it was written, for the `Host` header.
    host: String,
    path: String,
}

impl Address {
    fn parse(url: &str) -> Result<Self, AddressError> {
        let invalid = |why| AddressError::Invalid { url: url.to_owned(), why };
        if url.starts_with("wss://") {
            return Err(AddressError::Secure(url.to_owned()));
        }
        let rest = url.strip_prefix("ws://").ok_or_else(|| invalid("must begin with ws://"))?;
        let (host, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
        if host.is_empty() || host.contains(['@', ' ', '?', '#']) {
            return Err(invalid("must name a host, and nothing but a host and a port before the path"));
        }
        // An IPv6 literal has colons of its own, within brackets.
        let has_port = host.rsplit(']').next().is_some_and(|tail| tail.contains(':'));
        let target = if has_port { host.to_owned() } else { format!("{host}:80") };
        let path = if path.len() > 1 { path } else { "/v1/ws" };
        Ok(Self { url: url.into(), target, host: host.to_owned(), path: path.to_owned() })
    }
}

/// Connects over TCP to one of several gateways: a random one, but not the one just failed or left if there is another.
#[derive(Clone)]
pub struct TcpConnect {
    gateways: Arc<[Arc<Address>]>,
}

impl TcpConnect {
    /// Takes `ws://host[:port][/path]` URLs; without a path it is `/v1/ws`.
    pub fn new<S: AsRef<str>>(urls: impl IntoIterator<Item = S>) -> Result<Self, AddressError> {
        let gateways: Vec<_> =
            urls.into_iter().map(|url| Address::parse(url.as_ref()).map(Arc::new)).collect::<Result<_, _>>()?;
        if gateways.is_empty() {
            return Err(AddressError::Empty);
        }
        Ok(Self { gateways: gateways.into() })
    }

    fn choose(&self, attempt: &Attempt) -> Arc<Address> {
        let others = || self.gateways.iter().filter(|gateway| Some(&gateway.url) != attempt.avoid.as_ref());
        let choice = match others().count() {
            0 => self.gateways.get(attempt.chance as usize % self.gateways.len()),
            n => others().nth(attempt.chance as usize % n),
        };
        choice.unwrap_or(&self.gateways[0]).clone()
    }
}

impl Connect for TcpConnect {
    fn connect(&self, attempt: Attempt) -> BoxFuture<'static, Result<Connected, ConnectError>> {
        let to = self.choose(&attempt);
        Box::pin(async move {
            let unreachable = |source| ConnectError::Unreachable { gateway: to.url.clone(), source };
            let stream = TcpStream::connect(&to.target).await.map_err(unreachable)?;
            // Chat frames are small and each is waited for.
            stream.set_nodelay(true).map_err(unreachable)?;
            Ok(Connected {
                stream: Box::new(stream),
                gateway: to.url.clone(),
                host: to.host.clone(),
                path: to.path.clone(),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_checked() {
        let new = |url: &str| TcpConnect::new([url]).map(|_| ()).map_err(|error| error.to_string());
        for good in ["ws://h", "ws://h:1/v1/ws", "ws://[::1]:8080", "ws://[::1]/"] {
            assert_eq!(new(good), Ok(()), "{good}");
        }
        for (bad, part) in [("wss://h", "not supported yet"), ("http://h", "must begin"), ("ws://", "name a host")] {
            assert!(new(bad).unwrap_err().contains(part), "{bad}");
        }
        assert_eq!(TcpConnect::new::<&str>([]).err(), Some(AddressError::Empty));
    }

    #[test]
    fn the_gateway_to_avoid_is_avoided_if_there_is_another() {
        let attempt = |avoid: &str, chance| Attempt { number: 0, avoid: Some(avoid.into()), chance };
        let two = TcpConnect::new(["ws://a", "ws://b:9"]).unwrap();
        for chance in 0..9 {
            assert_eq!(two.choose(&attempt("ws://a", chance)).target, "b:9");
        }
        let one = TcpConnect::new(["ws://a"]).unwrap();
        assert_eq!(one.choose(&attempt("ws://a", 3)).target, "a:80");
    }
}
