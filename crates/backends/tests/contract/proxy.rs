//! A TCP proxy that can fall silent, as a system that hangs does: connections stand, and nothing goes through.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};
use tokio_util::task::AbortOnDropHandle;

/// What becomes of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Traffic {
    /// They go through.
    Flows,
    /// They wait.
    Stands,
    /// Connections are closed, and so is each new one.
    Breaks,
}

pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    traffic: watch::Sender<Traffic>,
    _accepting: AbortOnDropHandle<()>,
}

impl Proxy {
    pub(crate) async fn start(target: String, traffic: Traffic) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (traffic, seen) = watch::channel(traffic);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(connection(client, target.clone(), seen.clone()));
            }
        });
        Self { address, traffic, _accepting: AbortOnDropHandle::new(accepting) }
    }

    pub(crate) fn set(&self, traffic: Traffic) {
        self.traffic.send_replace(traffic);
    }
}

/// Ends when the traffic breaks, or when either side does.
async fn connection(client: TcpStream, target: String, traffic: watch::Receiver<Traffic>) {
    let mut breaks = traffic.clone();
    let through = async {
        let server = TcpStream::connect(target).await?;
        let ((client_reads, client_writes), (server_reads, server_writes)) = (client.into_split(), server.into_split());
        tokio::select! {
            done = pump(client_reads, server_writes, traffic.clone()) => done,
            done = pump(server_reads, client_writes, traffic) => done,
        }
    };
    tokio::select! {
        _ = breaks.wait_for(|traffic| *traffic == Traffic::Breaks) => {}
        // Whoever was connected sees that it is over.
        _ = through => {}
    }
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut traffic: watch::Receiver<Traffic>,
) -> io::Result<()> {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let count = from.read(&mut bytes).await?;
        if count == 0 || traffic.wait_for(|traffic| *traffic == Traffic::Flows).await.is_err() {
            return Ok(());
        }
        to.write_all(&bytes[..count]).await?;
    }
}
