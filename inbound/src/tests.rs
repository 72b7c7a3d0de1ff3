//! Tests with idle, slow and many clients against a server with few connections.

use std::future::pending;
use std::sync::Mutex;

use axum::body::Bytes;
use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::sync::{mpsc, oneshot};

use super::*;

/// Longer than any response takes.
const PATIENCE: Duration = Duration::from_secs(20);

struct Server {
    address: SocketAddr,
    /// Receives a message at the end of each response of `/endless`.
    ends: mpsc::UnboundedReceiver<()>,
    ask_end: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

/// Sends a message when it is dropped.
struct SendOnDrop(mpsc::UnboundedSender<()>);

impl Drop for SendOnDrop {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

impl Server {
    async fn start(limits: Limits) -> Server {
        let (sender, ends) = mpsc::unbounded_channel();
        let sender = Arc::new(Mutex::new(sender));
        let endless = move || async move {
            let on_end = SendOnDrop(sender.lock().unwrap_or_else(|error| error.into_inner()).clone());
            let chunks = StreamOf { _on_end: on_end, chunk: Bytes::from(vec![b'x'; 64 << 10]) };
            Body::new(chunks)
        };
        let router = Router::new()
            .route("/", get(async || "here"))
            .route("/waits", get(pending::<&'static str>))
            .route("/endless", get(endless));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (ask_end, end) = oneshot::channel::<()>();
        let task = tokio::spawn(serve(listener, router, limits, async {
            let _ = end.await;
        }));
        Server { address, ends, ask_end, task }
    }

    async fn connect(&self, from: &str) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(from.parse().unwrap(), 0)).unwrap();
        socket.connect(self.address).await.unwrap()
    }

    /// Requests a path and leaves the connection open.
    async fn ask(&self, from: &str, path: &str) -> TcpStream {
        let mut stream = self.connect(from).await;
        // A rejected connection may be closed already.
        let _ = stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes()).await;
        stream
    }

    /// The response of `/`; empty if the connection is closed without one.
    async fn get(&self, from: &str) -> String {
        let mut stream = self.ask(from, "/").await;
        let mut answer = Vec::new();
        let read = async {
            let mut part = [0; 1_024];
            while let Ok(count @ 1..) = stream.read(&mut part).await {
                answer.extend_from_slice(&part[..count]);
                if answer.ends_with(b"here") {
                    break;
                }
            }
        };
        tokio::time::timeout(PATIENCE, read).await.expect("no answer comes");
        String::from_utf8(answer).unwrap()
    }
}

/// Repeats the same bytes without end.
struct StreamOf {
    _on_end: SendOnDrop,
    chunk: Bytes,
}

impl http_body::Body for StreamOf {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        std::task::Poll::Ready(Some(Ok(http_body::Frame::data(self.chunk.clone()))))
    }
}

const HERE: &str = "127.0.0.1";
const ELSEWHERE: &str = "127.0.0.2";

async fn closed(stream: &mut TcpStream) {
    let read = async {
        let mut part = [0; 1_024];
        while let Ok(1..) = stream.read(&mut part).await {}
    };
    tokio::time::timeout(PATIENCE, read).await.expect("the connection is closed");
}

#[tokio::test]
async fn idle_connections_that_hold_every_place_make_room() {
    let server = Server::start(Limits { of_one_address: 4, ..Limits::of(4) }).await;
    let mut idle = Vec::new();
    for _ in 0..12 {
        idle.push(server.connect(HERE).await);
    }
    for _ in 0..3 {
        assert!(server.get(HERE).await.ends_with("here"));
    }
    closed(&mut idle[0]).await;
}

#[tokio::test]
async fn a_request_under_way_keeps_its_place_beside_idle_connections() {
    let mut server = Server::start(Limits { of_one_address: 2, ..Limits::of(2) }).await;
    let mut under_way = server.ask(HERE, "/endless").await;
    let mut part = vec![0; 1 << 20];
    assert!(under_way.read(&mut part).await.unwrap() > 0);
    for _ in 0..5 {
        assert!(server.get(HERE).await.ends_with("here"));
    }
    assert!(under_way.read(&mut part).await.unwrap() > 0);
    assert!(server.ends.try_recv().is_err());
}

#[tokio::test]
async fn an_unfinished_header_is_waited_for_only_so_long() {
    let limits = Limits { header: Duration::from_millis(100), ..Limits::of(4) };
    let server = Server::start(limits).await;
    let mut silent = server.connect(HERE).await;
    closed(&mut silent).await;
    let mut half = server.connect(HERE).await;
    half.write_all(b"GET / HTTP/1.1\r\nhost: loc").await.unwrap();
    closed(&mut half).await;
}

#[tokio::test]
async fn an_answer_that_is_not_read_is_given_up() {
    let limits = Limits { stalled: Duration::from_millis(200), ..Limits::of(4) };
    let mut server = Server::start(limits).await;
    let _unread = server.ask(HERE, "/endless").await;
    tokio::time::timeout(PATIENCE, server.ends.recv()).await.expect("the answer is given up");
}

#[tokio::test]
async fn one_address_cannot_hold_every_place() {
    let server = Server::start(Limits { of_one_address: 2, ..Limits::of(4) }).await;
    let (_one, _two) = (server.ask(HERE, "/waits").await, server.ask(HERE, "/waits").await);
    // Connections are accepted in order: once this one is rejected, the others are open.
    assert_eq!(server.get(HERE).await, "");
    assert!(server.get(ELSEWHERE).await.ends_with("here"));
    let many = Limits { of_one_address: 2, may_be_many: Arc::new(|_| true), ..Limits::of(4) };
    let server = Server::start(many).await;
    let (_one, _two) = (server.ask(HERE, "/waits").await, server.ask(HERE, "/waits").await);
    assert!(server.get(HERE).await.ends_with("here"), "a proxy brings the connections of many");
}

#[tokio::test]
async fn the_end_closes_idle_connections() {
    let server = Server::start(Limits::of(4)).await;
    let mut idle = server.connect(HERE).await;
    assert!(server.get(HERE).await.ends_with("here"));
    server.ask_end.send(()).unwrap();
    tokio::time::timeout(PATIENCE, server.task).await.expect("the server ends").unwrap();
    closed(&mut idle).await;
}

#[test]
fn the_places_leave_files_for_the_process() {
    raise_open_files();
    let limits = Limits::of_process();
    assert!((8..=1_024).contains(&limits.connections) && limits.of_one_address < limits.connections);
}
