//! Harm that a file's name, its content or a busy server must not do to its records.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::RequestBuilder;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Server, eventually, said};

const PIPELINE: &str = r#"
CREATE EXTERNAL TABLE j (id BIGINT, t VARCHAR) STORED AS JSON LOCATION 'kafka://j' OPTIONS ('partitions' '2');
CREATE EXTERNAL TABLE c (id BIGINT, t VARCHAR) STORED AS CSV LOCATION 'kafka://c' OPTIONS ('partitions' '2');
CREATE EXTERNAL TABLE one (t VARCHAR) STORED AS CSV LOCATION 'kafka://one' OPTIONS ('partitions' '2');
CREATE VIEW js AS SELECT count(*) AS n, count(DISTINCT id) AS ids, count(t) AS ts FROM j;
CREATE VIEW cs AS SELECT count(*) AS n, count(DISTINCT id) AS ids, count(t) AS ts FROM c;
CREATE VIEW ones AS SELECT count(*) AS n, 0 AS ids, count(t) AS ts FROM one;
"#;

/// A server and a folder for files.
struct World {
    server: Server,
    folder: TempDir,
}

impl World {
    async fn start(settings: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let pipeline = folder.path().join("pipeline.sql");
        std::fs::write(&pipeline, PIPELINE).unwrap();
        let mut server = Server::new(&pipeline, &format!("{}{settings}", crate::support::settings_on_demand()));
        server.start().await;
        Self { server, folder }
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Ingests a file: whether it says that all is well, and what it says.
    async fn ingest(&self, stream: &str, path: &Path) -> (bool, String) {
        let output = self.server.command(&["ingest", stream, "--from", path.to_str().unwrap()]).output().await.unwrap();
        (output.status.success(), said(&output))
    }

    async fn ingests(&self, stream: &str, name: &str, content: impl AsRef<[u8]>) -> String {
        let (well, said) = self.ingest(stream, &self.file(name, content)).await;
        assert!(well && !said.contains("18446744073709"), "{name}: {said}");
        said
    }

    /// Waits for the view's rows, distinct ids and texts, and looks for dead letters.
    async fn holds(&self, view: &str, expected: [u64; 3], dead: u64) {
        let [n, ids, ts] = expected;
        self.server.wait_for(&format!("SELECT n, ids, ts FROM {view}"), &format!("{n}, {ids}, {ts}")).await;
        let landed = "SELECT count(*) FROM sys.partitions WHERE landed < log_end";
        self.server.wait_for(landed, "0").await;
        self.server.check("SELECT count(*) FROM sys.dead_letters", &[&dead.to_string()]).await;
    }

    fn post(&self, path: &str) -> RequestBuilder {
        reqwest::Client::new().post(format!("{}/v1/streams/{path}", self.server.url()))
    }
}

/// Rows `from..to` of `id,t`.
fn table(from: u64, to: u64, text: impl Fn(u64) -> String) -> String {
    "id,t\n".to_owned() + &(from..to).map(|id| format!("{id},{}\n", text(id))).collect::<String>()
}

async fn answer(request: RequestBuilder) -> (u16, Option<String>, Value) {
    let response = request.send().await.unwrap();
    let retry = response.headers().get(header::RETRY_AFTER).map(|value| value.to_str().unwrap().to_owned());
    (response.status().as_u16(), retry, response.json().await.unwrap())
}

fn message(answer: &Value) -> &str {
    answer["error"]["message"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_does_not_decide_what_is_read() {
    let world = World::start("").await;
    for (i, name) in ["orders #1.csv", "orders #2.csv"].into_iter().enumerate() {
        let from = i as u64 * 25_000;
        world.ingests("c", name, table(from, from + 25_000, |id| id.to_string())).await;
    }
    let names =
        ["a&b=1.csv", "50%.csv", "%2e%2e.csv", "a+b ?x=é\u{1f980}.csv", "small #2.csv", "small #3.csv", "..csv"];
    for (i, name) in names.into_iter().enumerate() {
        let from = 50_000 + i as u64;
        world.ingests("c", name, table(from, from + 1, |_| "x".to_owned())).await;
    }
    world.holds("cs", [50_007, 50_007, 50_007], 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_may_hold_any_bytes() {
    let world = World::start("").await;
    let broken = |id: u64| if id.is_multiple_of(97) { "\"a\nb\"".to_owned() } else { "x".to_owned() };
    world.ingests("c", "breaks.csv", table(0, 30_000, broken)).await;
    world.holds("cs", [30_000, 30_000, 30_000], 0).await;
    world.ingests("one", "nulls.csv", "t,u\n,1\nx,2\n,3\n\"y\nz\",4\n").await;
    world.holds("ones", [4, 0, 2], 0).await;
    // One dead letter each: a raw break in a string that is no JSON, a ragged row of two lines, one that is not UTF-8.
    world.ingests("j", "array.json", "[{\"id\":1,\"t\":tru \"x\ny\"},{\"id\":2}]").await;
    world.ingests("c", "ragged.csv", b"id,t\n30000,x\n\"1\n2\",3,4\n\"\xff\n\",5\n30001,x\n").await;
    world.holds("cs", [30_002, 30_002, 30_002], 3).await;
    world.holds("js", [1, 1, 0], 3).await;
    let frames = b"\0\0\0\x0a{\"id\":\n9}\n\0\0\0\0";
    let framed = |body: &[u8]| {
        let request = world.post("j/records?source=raw&first=0").body(body.to_vec());
        request.header(header::CONTENT_TYPE, "application/vnd.dovetail.records")
    };
    let (status, _, cut) = answer(framed(&frames[..13])).await;
    assert!(status == 400 && message(&cut).contains("cut off in the frame at byte 0"), "{cut}");
    let (status, _, taken) = answer(framed(frames)).await;
    assert_eq!((status, &taken["received"], &taken["appended"]), (200, &2.into(), &2.into()), "{taken}");
    world.holds("js", [2, 2, 0], 4).await;
}

/// Passes requests on, but answers the first append with 503 although it was done.
async fn forgetful(server: String) -> String {
    async fn pass(State((server, forgets)): State<(String, Arc<AtomicBool>)>, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, 64 << 20).await.unwrap();
        let url = format!("{server}{}", parts.uri.path_and_query().unwrap());
        let is_append = parts.method == Method::POST;
        let mut sent = reqwest::Client::new().request(parts.method, url).body(body);
        if let Some(value) = parts.headers.get(header::CONTENT_TYPE) {
            sent = sent.header(header::CONTENT_TYPE, value);
        }
        let answer = sent.send().await.unwrap();
        let (status, body) = (answer.status(), answer.bytes().await.unwrap());
        if is_append && forgets.swap(false, Ordering::SeqCst) {
            return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], "lost").into_response();
        }
        (status, body).into_response()
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = axum::Router::new().fallback(pass).with_state((server, Arc::new(AtomicBool::new(true))));
    tokio::task::spawn_local(async move { axum::serve(listener, router).await.unwrap() });
    url
}

#[tokio::test]
async fn what_comes_through_a_pipe_comes_once() {
    tokio::task::LocalSet::new()
        .run_until(async {
            let world = World::start("").await;
            let url = forgetful(world.server.url()).await;
            let file = world.file("piped.csv", table(0, 1_000, |id| id.to_string()));
            let mut command = world.server.command(&["ingest", "c", "--from", "-", "--server", &url]);
            let output = command.stdin(std::fs::File::open(file).unwrap()).output().await.unwrap();
            assert!(output.status.success(), "{}", said(&output));
            world.holds("cs", [1_000, 1_000, 1_000], 0).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_never_fits_is_refused_and_what_does_not_fit_now_comes_back() {
    let world = World::start("[ingest]\nrequest = \"64KiB\"\nin_flight = \"128KiB\"\n").await;
    let large = vec![b'x'; 65 << 10];
    let (status, retry, refused) = answer(world.post("j/records").body(large.clone())).await;
    assert!(
        status == 413 && retry.is_none() && message(&refused).contains("`ingest.request` allows 65536"),
        "{refused}"
    );
    let pieces =
        futures::stream::iter(large.chunks(1 << 10).map(|p| Ok::<_, std::io::Error>(p.to_vec())).collect::<Vec<_>>());
    let (status, _, refused) = answer(world.post("j/records").body(reqwest::Body::wrap_stream(pieces))).await;
    assert!(status == 413 && message(&refused).contains("`ingest.request`"), "{refused}");
    let half = async || {
        let mut socket = TcpStream::connect(world.server.url().trim_start_matches("http://")).await.unwrap();
        let head = b"POST /v1/streams/j/records HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n{\"id\"";
        socket.write_all(head).await.unwrap();
        socket
    };
    let line = "{\"id\":1}\n".repeat(2_000);
    let ask = async || answer(world.post("j/records").body(line.clone())).await;
    // Bodies that come too slowly are given up after a while: the room is taken anew for each try.
    let (retry, busy) = eventually("the room to be taken", async || {
        let _halves = [half().await, half().await];
        let (status, retry, busy) = ask().await;
        (status == 429).then_some((retry, busy))
    })
    .await;
    assert!(retry.is_some() && message(&busy).contains("come back"), "{busy}");
    eventually("the room to be free", async || (ask().await.0 == 200).then_some(())).await;

    let world = World::start("[ingest]\nin_flight = \"32KiB\"\n").await;
    let (status, retry, refused) = answer(world.post("j/records").body(large)).await;
    assert!(status == 413 && retry.is_none() && message(&refused).contains("`ingest.in_flight`"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn json_is_read_by_its_content() {
    let world = World::start("").await;
    let pretty = "{\n  \"id\": 1,\n  \"t\": \"x\"\n}\n";
    let bodies = [pretty, "[\n{\"id\": 2}, {\"id\":\n3}]", "{\"id\":4}\n{\"id\":5}", "{\"id\":6}{\"id\":7}"];
    for (body, n) in bodies.into_iter().zip([1, 2, 2, 2]) {
        for content_type in ["application/json", "application/x-ndjson", "application/json; charset=utf-8"] {
            let request = world.post("j/records").header(header::CONTENT_TYPE, content_type).body(body);
            let (status, _, taken) = answer(request).await;
            assert_eq!((status, &taken["appended"]), (200, &Value::from(n)), "{body}: {taken}");
        }
    }
    world.holds("js", [21, 7, 3], 0).await;
    world.ingests("j", "pretty.ndjson", pretty.repeat(3)).await;
    world.ingests("j", "joined.json", "{\"id\":6}{\"id\":7}").await;
    world.holds("js", [26, 7, 6], 0).await;
    let (status, _, refused) = answer(world.post("j/records").body("[{\"id\":1}")).await;
    assert!(status == 400 && message(&refused).contains("nothing was appended"), "{refused}");
    world.holds("js", [26, 7, 6], 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_grew_goes_on_and_one_that_changed_is_refused() {
    let world = World::start("").await;
    let rows = |n| table(0, n, |id| id.to_string());
    world.ingests("c", "x.csv", rows(6)).await;
    let text = world.ingests("c", "x.csv", rows(6)).await;
    assert!(text.contains("6 were in the log before: there is nothing new"), "{text}");
    world.ingests("c", "x.csv", rows(7)).await;
    world.holds("cs", [7, 7, 7], 0).await;
    world.ingests("c", "x.csv", rows(20_500)).await;
    world.holds("cs", [20_500, 20_500, 20_500], 0).await;
    let replaced = rows(19_000) + &table(30_000, 31_500, |id| id.to_string())["id,t\n".len()..];
    let path = world.file("x.csv", replaced);
    let (well, text) = world.ingest("c", &path).await;
    assert!(!well && text.contains("does not begin with the 20500 records") && text.contains("--again"), "{text}");
    // A file shorter than the ingested one differs too.
    let (well, text) = world.ingest("c", &world.file("x.csv", rows(5_000))).await;
    assert!(!well && text.contains("does not begin with the 20500 records"), "{text}");
    world.holds("cs", [20_500, 20_500, 20_500], 0).await;
}

const ORDERS: &str = "order_id,ordered_at,shop,product,quantity,price\n\
    1,2026-03-01 09:12:00,Lisbon,espresso,2,1.20\n\
    2,2026-03-01 09:14:30,Porto,galão,1,1.60\n\
    5,2026-03-01 10:15:00,Porto,pastel de nata,two,1.30\n";

/// One file under many names, from many machines, whatever became of its first copy: by what the log says of it alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_known_by_what_is_in_it() {
    let mut world = World::start("").await;
    let one_more = ORDERS.to_owned() + "7,2026-03-02 12:00:00,Porto,galão,2,1.60\n";
    world.ingests("j", "orders.csv", ORDERS.replace("order_id", "id").replace("shop", "t")).await;
    let one_more = one_more.replace("order_id", "id").replace("shop", "t");
    let text = world.ingests("j", "orders.csv", &one_more).await;
    assert!(text.contains("3 were in the log before"), "{text}");
    world.holds("js", [4, 4, 4], 0).await;
    // Renamed, compressed, with other line ends, by a server that was killed and a home that is another: the same.
    world.server.kill().await;
    world.server.start().await;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(one_more.as_bytes()).unwrap();
    for (name, content) in [
        ("renamed.csv", one_more.clone().into_bytes()),
        ("orders.csv.gz", gzip.finish().unwrap()),
        ("windows.csv", one_more.replace('\n', "\r\n").into_bytes()),
    ] {
        let path = world.file(name, content);
        let mut command = world.server.command(&["ingest", "j", "--from", path.to_str().unwrap()]);
        let output = command.env("HOME", world.folder.path()).output().await.unwrap();
        let text = said(&output);
        assert!(output.status.success() && text.contains("there is nothing new in"), "{name}: {text}");
    }
    // Corrected in its middle; then all of it is wanted once more, and once more in a source with a name.
    let path = world.file("orders.csv", one_more.replace("two", "2"));
    let (well, text) = world.ingest("j", &path).await;
    assert!(!well && text.contains("does not begin with the 4 records") && text.contains("--again"), "{text}");
    world.holds("js", [4, 4, 4], 0).await;
    for (more, n) in [(["--again"].as_slice(), 8), (&["--source", "corrected"], 12), (&["--source", "corrected"], 12)] {
        let arguments = [["ingest", "j", "--from", path.to_str().unwrap()].as_slice(), more].concat();
        let output = world.server.command(&arguments).output().await.unwrap();
        assert!(output.status.success(), "{}", said(&output));
        world.holds("js", [n, 4, n], 0).await;
    }
    // A named source is compared as well, also through a pipe.
    for piped in [false, true] {
        let from = if piped { "-" } else { path.to_str().unwrap() };
        let mut command = world.server.command(&["ingest", "j", "--from", from, "--source", "corrected"]);
        std::fs::write(&path, &one_more).unwrap();
        let output = command.stdin(std::fs::File::open(&path).unwrap()).output().await.unwrap();
        let text = said(&output);
        assert!(!output.status.success() && text.contains("does not begin with the 4 records"), "{text}");
    }
    world.holds("js", [12, 4, 12], 0).await;
}

/// Killed in the middle, changed where nobody acknowledged anything, and sent again.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_interrupted_is_compared_too() {
    let world = World::start("").await;
    let rows = |n| table(0, n, |id| id.to_string());
    let path = world.file("x.csv", rows(30_000));
    let mut command = world.server.command(&["ingest", "c", "--from", path.to_str().unwrap(), "--rate", "20000"]);
    let mut child = command.spawn().unwrap();
    world.server.wait_for("SELECT n > 2000 FROM cs", "true").await;
    child.kill().await.unwrap();
    // The last request that came through may be known by nobody but the log.
    std::fs::write(&path, rows(30_000).replace("\n100,100\n", "\n100,changed\n")).unwrap();
    let (well, text) = world.ingest("c", &path).await;
    assert!(!well && text.contains("does not begin with the"), "{text}");
    std::fs::write(&path, rows(30_001)).unwrap();
    let (well, text) = world.ingest("c", &path).await;
    assert!(well, "{text}");
    world.holds("cs", [30_001, 30_001, 30_001], 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_compares_a_file_with_the_log() {
    let world = World::start("").await;
    let path = world.file("x.csv", table(0, 500, |id| format!("\"{id}\n\"")) + "ragged\n");
    let verify = async |path: &Path| {
        let arguments = ["verify", "c", "--from", path.to_str().unwrap(), "--format", "csv"];
        let output = world.server.command(&arguments).output().await.unwrap();
        let text = said(&output);
        (output.status.code(), text.lines().last().unwrap_or_default().to_owned())
    };
    assert_eq!(verify(&path).await, (Some(2), "501,0,501,0,0,0".to_owned()));
    world.ingest("c", &path).await;
    assert_eq!(verify(&path).await, (Some(0), "501,501,0,0,0,0".to_owned()));
    world.holds("cs", [500, 500, 500], 1).await;
    assert_eq!(verify(&path).await, (Some(0), "501,501,0,0,0,0".to_owned()));
    let other = world.file("y.csv", "id,t\n1,\"1\n\"\n2,two\n");
    assert_eq!(verify(&other).await, (Some(2), "2,1,1,0,0,500".to_owned()));
    let (status, _, taken) = answer(world.post("c/records").body("1,\"1\n\"\n")).await;
    assert_eq!((status, &taken["appended"]), (200, &1.into()), "{taken}");
    assert_eq!(verify(&path).await, (Some(0), "501,501,0,1,0,0".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_too_long_is_named_and_the_rest_goes_on() {
    let world = World::start("[ingest]\nrequest = \"1MiB\"\n").await;
    let cell = |id: u64| "x".repeat(if id == 700 { 2 << 20 } else { 2_000 });
    let path = world.file("x.csv", table(0, 1_000, cell));
    let (well, text) = world.ingest("c", &path).await;
    assert!(!well && text.contains("line 702: the record was not appended"), "{text}");
    assert!(text.contains("`ingest.request` allows 1048576") && text.contains("1 NOT APPENDED"), "{text}");
    world.holds("cs", [999, 999, 999], 0).await;
    let lines = format!("{{\"id\":1}}\n{{\"t\":\"{}\"}}\n{{\"id\":2}}\n", "x".repeat(17 << 20));
    let (well, text) = world.ingest("j", &world.file("x.ndjson", lines)).await;
    assert!(!well && text.contains("line 2: a record of") && text.contains("1 NOT APPENDED"), "{text}");
    world.holds("js", [2, 2, 0], 0).await;
}
