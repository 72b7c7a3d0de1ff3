//! The store on InfluxDB: what it sends, against scripted answers and a real server.

mod answers;
mod lines;

use std::sync::Arc;

use async_trait::async_trait;
use net::Secret;
use testkit::influxd::{Influxd, ORG};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::conformance::Place;
use crate::{FirstUser, InfluxAddress, InfluxAdmin, InfluxStore, SharedStore, Store};

/// A bucket of its own on a real server.
pub(crate) struct Bucket {
    server: &'static Influxd,
    name: String,
}

impl Bucket {
    /// `None` where there is no server, which is said.
    pub(crate) async fn make() -> Option<Bucket> {
        let server = Influxd::shared().await?;
        Some(Bucket { server, name: server.bucket(None).await })
    }

    fn address(&self) -> InfluxAddress {
        InfluxAddress {
            url: self.server.url.parse().unwrap(),
            org: ORG.into(),
            bucket: self.name.clone(),
            token: Secret::new(&self.server.token),
        }
    }
}

#[async_trait]
impl Place for Bucket {
    async fn open(&self) -> SharedStore {
        Arc::new(InfluxStore::new(self.address()).unwrap())
    }
}

/// A server that sends every request on to another host; says where it listens.
async fn serve_redirects() -> String {
    const ANSWER: &[u8] = b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://other.invalid/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let _ = connection.read(&mut [0; 16_384]).await;
            let _ = connection.write_all(ANSWER).await;
        }
    });
    url
}

#[tokio::test]
async fn queries_and_setup_go_out_by_the_one_http_client() {
    let url: url::Url = serve_redirects().await.parse().unwrap();
    let address = InfluxAddress {
        url: url.clone(),
        org: ORG.into(),
        bucket: "events".into(),
        token: Secret::new("key-4711"),
    };
    let query = InfluxStore::new(address).unwrap().notes("").await.unwrap_err();
    let setup = FirstUser::may_set_up(&url).await.unwrap_err();
    let enter = InfluxAdmin::enter(&url, ORG, Secret::new("key-4711")).await.err().unwrap();
    for said in [query.to_string(), setup.to_string(), enter.to_string()] {
        assert!(said.contains("redirects to another host"), "{said}");
        assert!(!said.contains("key-4711") && !said.contains("other.invalid"), "{said}");
    }
}
