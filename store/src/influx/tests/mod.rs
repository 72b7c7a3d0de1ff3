//! Tests of the store on InfluxDB, against scripted answers and against a real server.

use std::sync::Arc;

use async_trait::async_trait;
use influxdb_line_protocol::{FieldValue, ParsedLine, parse_lines};
use model::schema::{Column, ColumnType, Value};
use net::Secret;
use proptest::prelude::*;
use testkit::fake_influxdb::{ADMIN, BUCKET, FakeInfluxdb};
use testkit::influxd::{Influxd, ORG};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::conformance::{Place, batch, reading, readings};
use crate::influx::lines::{Layout, Lines, Unwritable, text_of_field};
use crate::{
    FirstUser, InfluxAddress, InfluxAdmin, InfluxStore, Measurement, Point, Rights, SharedStore, Store,
    StoreError,
};

/// A new bucket on a real server.
pub(crate) struct Bucket {
    server: &'static Influxd,
    name: String,
}

impl Bucket {
    /// `None`, with a message, if no server is available.
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

/// A server that redirects every request to another host; returns its address.
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

// Answers of a scripted server, and the resulting errors.

fn store(server: &FakeInfluxdb) -> InfluxStore {
    let (url, token) = (server.url.parse().unwrap(), Secret::new("token"));
    InfluxStore::new(InfluxAddress { url, org: "tickwire".into(), bucket: "events".into(), token }).unwrap()
}

/// The answer to a query for one stored text.
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

// Lines compared with another parser of the line protocol.

/// A measurement with a column of every type and the given names.
fn shape(name: &str, tags: [&str; 2], fields: [&str; 4]) -> Arc<Measurement> {
    use ColumnType::{Bool, Float, Int, Text, Time};
    let kinds = [Text, Text, Time, Float, Int, Text, Bool];
    let names = [tags[0], tags[1], "at", fields[0], fields[1], fields[2], fields[3]];
    Arc::new(Measurement {
        name: name.into(),
        columns: names.into_iter().zip(kinds).map(|(name, kind)| Column::new(name, kind)).collect(),
        tags: tags.map(str::to_owned).into(),
        time: "at".into(),
        version: None,
    })
}

fn plain() -> Arc<Measurement> {
    shape("readings", ["symbol", "term"], ["float", "int", "text", "bool"])
}

fn point(symbol: &str, term: &str, at: i64, fields: [Value; 4]) -> Point {
    let mut values = vec![Value::Text(symbol.into()), Value::Text(term.into()), Value::Int(at)];
    values.extend(fields);
    Point { nanos: 0, values }
}

fn line_of(measurement: Arc<Measurement>, point: &Point) -> Result<String, Unwritable> {
    let mut lines = Lines::default();
    lines.push(&Layout::new(measurement), point)?;
    Ok(lines.text().to_owned())
}

fn parsed(line: &str) -> ParsedLine<'_> {
    let mut lines = parse_lines(line);
    let first = lines.next().unwrap().unwrap_or_else(|error| panic!("{error}: {line}"));
    assert!(lines.next().is_none(), "more than one line: {line}");
    first
}

#[test]
fn a_line_is_as_the_format_says() {
    let fields = [Value::Float(0.1), Value::Int(-7), Value::Text("say \"C:\\\"".into()), Value::Bool(true)];
    let mut point = point("BRK B", "a=b, c", 1_500, fields);
    point.nanos = 42;
    assert_eq!(
        line_of(plain(), &point).unwrap(),
        "readings,symbol=BRK\\ B,term=a\\=b\\,\\ c float=0.1,int=-7i,text=\"say \\\"C:\\\\\\\"\",bool=true 1500000042\n"
    );
}

#[test]
fn nulls_and_numbers_that_are_none_are_left_out_and_an_empty_tag_is_a_blank() {
    let nothing = || [Value::Null, Value::Null, Value::Null, Value::Null];
    assert_eq!(
        line_of(plain(), &point("A", "", 1, nothing())).unwrap(),
        "readings,symbol=A,term=\\  _empty=true 1000000\n"
    );
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let fields = [Value::Float(number), Value::Int(1), Value::Null, Value::Null];
        assert_eq!(
            line_of(plain(), &point("", "", 0, fields)).unwrap(),
            "readings,symbol=\\ ,term=\\  int=1i 0\n"
        );
    }
}

#[test]
fn what_no_line_can_hold_is_refused_and_leaves_the_lines_before_it() {
    let layout = Layout::new(plain());
    let fields = || [Value::Null, Value::Int(1), Value::Null, Value::Null];
    let mut lines = Lines::default();
    lines.push(&layout, &point("A", "", 1, fields())).unwrap();
    let before = lines.text().to_owned();
    for (bad, said) in [
        (point("A", "ends with \\", 1, fields()), "tag `term`"),
        (point("A", " ", 1, fields()), "tag `term`"),
        (point("A", "a\\,b", 1, fields()), "tag `term`"),
        (point("two\nlines", "", 1, fields()), "tag `symbol`"),
        (point("A", "", i64::MAX, fields()), "out of the range"),
        (
            point("A", "", 1, [Value::Null, Value::Null, Value::Text("x".repeat(65_536)), Value::Null]),
            "`text`",
        ),
    ] {
        let error = lines.push(&layout, &bad).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    assert_eq!((lines.text(), lines.len()), (before.as_str(), 1));
}

#[test]
fn lines_can_be_taken_apart_again() {
    let layout = Layout::new(plain());
    let mut lines = Lines::default();
    for at in 0..4 {
        lines
            .push(&layout, &point("A", "x", at, [Value::Null, Value::Int(at), Value::Null, Value::Null]))
            .unwrap();
    }
    lines.pop();
    assert_eq!((lines.len(), lines.series(1), lines.time(1)), (3, "readings,symbol=A,term=x", 1_000_000));
    assert_eq!(
        lines.body(&[2, 0]),
        "readings,symbol=A,term=x int=2i 2000000\nreadings,symbol=A,term=x int=0i 0\n"
    );
    lines.clear();
    assert_eq!((lines.len(), lines.text()), (0, ""));
}

#[test]
fn no_point_costs_an_allocation_once_the_buffers_have_grown() {
    let layout = Layout::new(plain());
    let fields = |n: i64| {
        let text = Value::Text(format!("line {n}, \"quoted\" and long enough to matter"));
        [Value::Float(n as f64 / 7.0), Value::Int(n), text, Value::Bool(n % 2 == 0)]
    };
    let points: Vec<_> = (0..1_000).map(|n| point("BRK B", "a=b, c", n, fields(n))).collect();
    let mut lines = Lines::default();
    let mut encode = || {
        lines.clear();
        points.iter().for_each(|point| lines.push(&layout, point).unwrap());
        lines.len()
    };
    encode();
    let counted = allocation_counter::measure(|| assert_eq!(encode(), points.len()));
    assert_eq!(counted.count_total, 0);
}

/// Names and tags without characters that line protocol cannot represent.
fn word() -> impl Strategy<Value = String> {
    "([a-zA-Z0-9_,= \"'#é€/.~-]|\\\\[a-z'é]){1,12}"
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{0,20}", "[\\\\\"\n\r\t,= é€]{0,12}", any::<String>()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn whatever_is_written_reads_back_the_same(
        names in prop::collection::btree_set(word(), 6),
        name in word(),
        tags in (prop_oneof![Just(String::new()), word()], word()),
        float in any::<f64>(),
        int in any::<i64>(),
        text in texts(),
        flag in any::<bool>(),
        at in -9_000_000_000_000_i64..9_000_000_000_000,
        nanos in 0..1_000_000_i64,
    ) {
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        prop_assume!(tags.0 != " " && tags.1 != " ");
        prop_assume!(!names.contains(&"at") && !name.starts_with('#'));
        let measurement = shape(&name, [names[0], names[1]], [names[2], names[3], names[4], names[5]]);
        let fields = [Value::Float(float), Value::Int(int), Value::Text(text.clone()), Value::Bool(flag)];
        let point = Point { nanos, ..point(&tags.0, &tags.1, at, fields) };
        let line = line_of(measurement, &point).unwrap();
        let read = parsed(&line);
        prop_assert_eq!(read.series.measurement.as_str(), name.as_str());
        let tag = |key: &str| read.tag_value(key).map(|value| value.as_str().to_owned());
        prop_assert_eq!(tag(names[0]), Some(if tags.0.is_empty() { " ".to_owned() } else { tags.0.clone() }));
        prop_assert_eq!(tag(names[1]), Some(tags.1));
        let field = |key: &str| read.field_value(key).cloned();
        match field(names[2]) {
            Some(FieldValue::F64(read)) => prop_assert_eq!(read.to_bits(), (float + 0.0).to_bits()),
            None => prop_assert!(!float.is_finite()),
            other => prop_assert!(false, "{:?}", other),
        }
        prop_assert_eq!(field(names[3]), Some(FieldValue::I64(int)));
        match field(names[4]) {
            Some(FieldValue::String(read)) => {
                prop_assert!(!read.is_empty(), "the server would lose it");
                prop_assert_eq!(text_of_field(read.to_string()), text);
            }
            other => prop_assert!(false, "{:?}", other),
        }
        prop_assert_eq!(field(names[5]), Some(FieldValue::Boolean(flag)));
        prop_assert_eq!(read.timestamp, Some(at * 1_000_000 + nanos));
    }
}

/// A server whose answers never end; returns its address.
async fn serve_without_end(status: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = connection.read(&mut [0; 16_384]).await;
                let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n\r\n");
                let mut sent = connection.write_all(head.as_bytes()).await;
                while sent.is_ok() {
                    sent = connection.write_all(&[b' '; 65_536]).await;
                }
            });
        }
    });
    url
}

#[tokio::test]
async fn of_an_answer_without_end_a_setup_reads_no_more_than_its_limit() {
    for (status, said) in [("200 OK", "longer than 1048576 bytes"), ("401 Unauthorized", "no reason given")] {
        let user = FirstUser {
            url: serve_without_end(status).await.parse().unwrap(),
            org: ORG.into(),
            name: "admin".into(),
            password: Secret::new("password-4711"),
        };
        let error = user.sign_in().await.unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}
