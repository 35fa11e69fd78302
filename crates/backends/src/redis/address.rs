//! Where a Redis is: one server, or a cluster.

use redis::{AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, ProtocolVersion};
use tokio::time::Duration;

use crate::port::{StoreError, StoreResult};

/// A connection that takes longer has failed.
const CONNECT: Duration = Duration::from_secs(1);
/// An answer that takes longer has failed, and its connection with it.
const RESPONSE: Duration = Duration::from_millis(1_500);
/// Requests that wait for the socket of one server before callers have to wait.
const WAITING: usize = 1_024;

/// How a cluster's URL begins.
const CLUSTER: &str = "redis+cluster://";

/// The servers a URL names. Says nothing of user and password when printed: nor does anything else here.
#[derive(Clone)]
pub(super) struct Address {
    /// The servers. Of a cluster some are enough: they know the others.
    servers: Vec<ConnectionInfo>,
    pub(super) is_cluster: bool,
}

impl Address {
    /// Reads `redis://[user:password@]host[:port][/db]` or `redis+cluster://[user:password@]host:port[,host:port...]`.
    pub(super) fn parse(store: &'static str, url: &str) -> StoreResult<Self> {
        // Not with the text of the URL: it may hold a password.
        let invalid = |why: &str| StoreError::unavailable(store, format_args!("its URL is not valid: {why}"));
        let server = |url: &str| -> StoreResult<ConnectionInfo> {
            let info = url.into_connection_info().map_err(|error| invalid(&error.to_string()))?;
            let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
            Ok(info.set_redis_settings(settings))
        };
        let Some(rest) = url.strip_prefix(CLUSTER) else {
            return Ok(Self { servers: vec![server(url)?], is_cluster: false });
        };
        let (user, hosts) = rest.rsplit_once('@').map_or(("", rest), |(user, hosts)| (user, hosts));
        let at = if user.is_empty() { "" } else { "@" };
        let hosts = hosts.trim_end_matches('/').split(',').filter(|host| !host.is_empty());
        let servers =
            hosts.map(|host| server(&format!("redis://{user}{at}{host}"))).collect::<StoreResult<Vec<_>>>()?;
        if servers.is_empty() {
            return Err(invalid("it names no server"));
        }
        Ok(Self { servers, is_cluster: true })
    }

    /// `host:port` of each server that the URL names.
    pub(super) fn names(&self) -> impl Iterator<Item = String> + '_ {
        self.servers.iter().map(|info| info.addr().to_string())
    }

    /// A client of the server `name`, with the user and password of this address.
    pub(super) fn client(&self, store: &'static str, name: &str) -> StoreResult<Client> {
        let known = self.servers.iter().find(|info| info.addr().to_string() == name);
        let info = match (known, self.servers.first(), name.rsplit_once(':')) {
            (Some(known), ..) => known.clone(),
            (None, Some(first), Some((host, port))) => {
                let port = port.parse().map_err(|_| StoreError::corrupt(store, format_args!("server {name}")))?;
                first.clone().set_addr(ConnectionAddr::Tcp(host.to_owned(), port))
            }
            _ => return Err(StoreError::corrupt(store, format_args!("server {name}"))),
        };
        Client::open(info).map_err(|error| StoreError::unavailable(store, error))
    }
}

/// Deadlines of a connection.
pub(super) fn config() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT))
        .set_response_timeout(Some(RESPONSE))
        .set_pipeline_buffer_size(WAITING)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_one_server_or_a_cluster() {
        let one = Address::parse("redis", "redis://user:secret@a:7000/2").unwrap();
        assert!(!one.is_cluster);
        assert_eq!(one.names().collect::<Vec<_>>(), ["a:7000"]);
        let many = Address::parse("redis", "redis+cluster://:secret@a:7000,b,c:7002/").unwrap();
        assert!(many.is_cluster);
        assert_eq!(many.names().collect::<Vec<_>>(), ["a:7000", "b:6379", "c:7002"]);
        for info in &many.servers {
            assert_eq!(info.redis_settings().password(), Some("secret"));
        }
        let other = many.client("redis", "10.0.0.1:7003").unwrap();
        assert_eq!(other.get_connection_info().redis_settings().password(), Some("secret"));
        assert_eq!(other.get_connection_info().addr().to_string(), "10.0.0.1:7003");
    }

    #[test]
    fn errors_do_not_tell_the_password() {
        for url in ["http://user:secret@a", "redis://user:secret@a:port", "redis+cluster://user:secret@", "secret"] {
            let error = Address::parse("redis", url).err().unwrap().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
