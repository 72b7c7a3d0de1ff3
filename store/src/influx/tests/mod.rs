//! The store on InfluxDB: what it sends, against scripted answers and a real server.

mod lines;

use std::sync::Arc;

use async_trait::async_trait;
use outbound::Secret;
use test_servers::influxd::{Influxd, ORG};

use crate::conformance::Place;
use crate::{InfluxAddress, InfluxStore, SharedStore};

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
