//! A TCP proxy in front of a server that simulates network faults chosen by the test.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How the proxy treats connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// Forwards them.
    Well,
    /// Answers every request with this status and optionally `Retry-After`.
    Answers(u16, Option<u32>),
    /// Never answers.
    Hangs,
    /// Closes them after a part of the request.
    Cut,
    /// Forwards a few bytes at a time.
    Slow,
}

/// A running proxy, stopped with its runtime.
pub struct Proxy {
    /// The address for clients.
    pub address: SocketAddr,
    network: watch::Sender<Network>,
}

impl Proxy {
    /// Starts a proxy in front of `host:port`.
    ///
    /// # Panics
    /// When no port can be bound.
    pub async fn before(server: &str) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let (network, state) = watch::channel(Network::Well);
        let server = server.to_owned();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, server.clone(), state.clone()));
            }
        });
        Proxy { address, network }
    }

    /// Changes the treatment; open connections are closed.
    pub fn becomes(&self, network: Network) {
        self.network.send_replace(network);
    }
}

/// Serves one connection until it ends or the treatment changes.
async fn serve(client: TcpStream, server: String, mut state: watch::Receiver<Network>) {
    let network = *state.borrow_and_update();
    tokio::select! {
        _ = pass(client, &server, network) => {}
        _ = state.changed() => {}
    }
}

async fn pass(mut client: TcpStream, server: &str, network: Network) -> std::io::Result<()> {
    let mut part = [0; 1_024];
    match network {
        Network::Well => {
            let mut server = TcpStream::connect(server).await?;
            copy_bidirectional(&mut client, &mut server).await?;
        }
        Network::Answers(status, retry_after) => {
            if client.read(&mut part).await? == 0 {
                return Ok(());
            }
            let wait = retry_after.map(|seconds| format!("retry-after: {seconds}\r\n")).unwrap_or_default();
            let answer =
                format!("HTTP/1.1 {status} Fault\r\n{wait}content-length: 0\r\nconnection: close\r\n\r\n");
            client.write_all(answer.as_bytes()).await?;
            // The rest of the request is read, because closing with unread data could discard
            // the response.
            let rest = async { while client.read(&mut part).await.is_ok_and(|length| length > 0) {} };
            let _ = tokio::time::timeout(Duration::from_secs(1), rest).await;
        }
        Network::Hangs => std::future::pending().await,
        Network::Cut => drop(client.read(&mut part).await?),
        Network::Slow => {
            let (mut from_client, mut to_client) = client.split();
            let mut server = TcpStream::connect(server).await?;
            let (mut from_server, mut to_server) = server.split();
            tokio::try_join!(
                trickle(&mut from_client, &mut to_server),
                trickle(&mut from_server, &mut to_client)
            )?;
        }
    }
    Ok(())
}

/// Copies a few bytes at a time until the end.
async fn trickle(
    from: &mut (impl AsyncReadExt + Unpin),
    to: &mut (impl AsyncWriteExt + Unpin),
) -> std::io::Result<()> {
    let mut part = [0; 4_096];
    loop {
        let length = from.read(&mut part).await?;
        if length == 0 {
            return to.shutdown().await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        to.write_all(&part[..length]).await?;
    }
}
