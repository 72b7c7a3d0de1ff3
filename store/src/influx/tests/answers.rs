//! What the store makes of the answers of a server that is played.

use net::Secret;
use testkit::fake_influxdb::{ADMIN, BUCKET, FakeInfluxdb};

use crate::conformance::{batch, reading, readings};
use crate::{InfluxAddress, InfluxAdmin, InfluxStore, Rights, Store, StoreError};

fn store(server: &FakeInfluxdb) -> InfluxStore {
    let (url, token) = (server.url.parse().unwrap(), Secret::new("token"));
    InfluxStore::new(InfluxAddress { url, org: "tickwire".into(), bucket: "events".into(), token }).unwrap()
}

/// The answer to a question for one text that is kept.
fn kept(key: &str, text: &str) -> String {
    let quoted = text.replace('"', "\"\"");
    format!(
        "#datatype,string,long,dateTime:RFC3339,string,string,string\r\n#group,false,false,false,true,false,true\r\n\
         #default,_result,,,,,\r\n,result,table,_time,_field,_value,key\r\n\
         ,,0,2026-11-29T10:00:00Z,text,\"{quoted}\",{key}\r\n\r\n"
    )
}

#[tokio::test]
async fn a_failure_to_say_the_retention_is_not_taken_for_one_without_end() {
    let server = FakeInfluxdb::start().await;
    let store = store(&server);
    server.keep_for(3_600);
    server.refuse_buckets(2, 503);
    for _ in 0..2 {
        let error = store.trimmed_before("stock_prices").await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    }
    let hour_ago = model::time::now() - 3_600_000;
    let trimmed = store.trimmed_before("stock_prices").await.unwrap().unwrap();
    assert!((hour_ago - 60_000..=hour_ago + 60_000).contains(&trimmed));
    assert!(store.trimmed_before("stock_prices").await.unwrap().is_some());
    assert_eq!(server.bucket_lists(), 3, "what it said is believed for a while");
}

#[tokio::test]
async fn a_token_that_may_not_know_the_retention_does_not_stop_anything() {
    let server = FakeInfluxdb::start().await;
    server.refuse_buckets(1, 403);
    assert_eq!(store(&server).trimmed_before("stock_prices").await.unwrap(), None);
}

#[tokio::test]
async fn a_bucket_of_a_later_format_is_left_alone_with_the_remedy() {
    let server = FakeInfluxdb::start().await;
    server.answer("tickwire_measurements", &kept("_format", "99"));
    let store = store(&server);
    let error = store.define(&readings()).await.unwrap_err().to_string();
    assert!(error.contains("format 99") && error.contains("newer tickwire"), "{error}");
    assert!(store.measurements().await.is_err());
    assert!(store.write(batch(&readings(), vec![reading("A", "", 1, 1, 0)])).await.is_err());
    assert_eq!(server.written(), "", "nothing was written");
}

#[tokio::test]
async fn a_bucket_without_a_format_is_taken_and_told_which_it_has() {
    let server = FakeInfluxdb::start().await;
    store(&server).define(&readings()).await.unwrap();
    assert!(server.written().contains("key=_format text=\"1\""), "{}", server.written());
}

#[tokio::test]
async fn a_server_that_shows_no_tokens_has_them_told_apart_by_their_ids() {
    let server = FakeInfluxdb::start().await;
    let url = server.url.parse().unwrap();
    let admin = InfluxAdmin::enter(&url, "tickwire", Secret::new(ADMIN)).await.unwrap();
    let id_of = async |held: &Secret, noted: Option<&str>| {
        admin.id_of_token("sink", BUCKET, Rights::Read, held, noted).await.unwrap()
    };
    for shown in [false, true] {
        server.show_tokens(shown);
        let made = admin.new_token("sink", BUCKET, Rights::Read).await.unwrap();
        assert_eq!(admin.remove_tokens_but("sink", &made.id).await.unwrap(), usize::from(shown));
        assert!(server.knows(made.token.expose()), "the token that was made stays");
        assert_eq!(id_of(&made.token, Some(&made.id)).await, Some(made.id.clone()));
        assert_eq!(id_of(&made.token, None).await, Some(made.id.clone()), "there is no other");
        assert_eq!(id_of(&Secret::new("another"), Some(&made.id)).await, None, "it lets nobody in");
    }
    server.show_tokens(false);
    let second = admin.new_token("sink", BUCKET, Rights::Read).await.unwrap();
    assert_eq!(id_of(&second.token, None).await, None, "which of two it is nobody can say");
    assert_eq!(id_of(&second.token, Some(&second.id)).await, Some(second.id.clone()));
    let wider =
        admin.id_of_token("sink", BUCKET, Rights::ReadAndWrite, &second.token, Some(&second.id)).await;
    assert_eq!(wider.unwrap(), None, "its rights are others");
    assert_eq!(admin.remove_tokens_but("sink", &second.id).await.unwrap(), 1);
    assert!(server.knows(second.token.expose()) && server.tokens() == 1);
}
