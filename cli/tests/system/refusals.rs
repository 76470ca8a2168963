//! Requests that are wrong, against all routes: each is answered in the one shape of errors, with the status and the
//! code that belong to it.

use bytesize::ByteSize;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Local, clicks, config, dovetail, eventually, try_number};

const PIPELINE: &str = "
    CREATE EXTERNAL TABLE clicks (ts TIMESTAMP, user_id BIGINT, page VARCHAR, ms BIGINT)
    STORED AS JSON LOCATION 'kafka://clicks' OPTIONS ('partitions' '1');
    CREATE VIEW total AS SELECT count(*) AS n FROM clicks;
";
const JSON: Option<&str> = Some("application/json");

struct Wrong<'w> {
    method: Method,
    path: &'w str,
    kind: Option<&'w str>,
    body: Vec<u8>,
    status: u16,
    code: &'w str,
}

fn get<'w>(path: &'w str, status: u16, code: &'w str) -> Wrong<'w> {
    Wrong { method: Method::GET, path, kind: None, body: vec![], status, code }
}

fn post<'w>(path: &'w str, kind: Option<&'w str>, body: impl Into<Vec<u8>>, status: u16, code: &'w str) -> Wrong<'w> {
    Wrong { method: Method::POST, path, kind, body: body.into(), status, code }
}

async fn check(base: &str, wrong: Vec<Wrong<'_>>) {
    for Wrong { method, path, kind, body, status, code } in wrong {
        let what = format!("{method} {path} {}", String::from_utf8_lossy(&body[..body.len().min(60)]));
        let mut request = reqwest::Client::new().request(method, format!("{base}{path}")).body(body);
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        let answer = request.send().await.unwrap();
        let (got, headers) = (answer.status().as_u16(), answer.headers().clone());
        let text = answer.text().await.unwrap();
        let body: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{what}: {got} {text}"));
        assert_eq!((got, body["error"]["code"].as_str()), (status, Some(code)), "{what}: {text}");
        assert_eq!(headers["content-type"], "application/json", "{what}");
        let message = body["error"]["message"].as_str().unwrap();
        assert!(!message.is_empty() && !message.starts_with(char::is_uppercase), "{what}: {message}");
        assert_eq!(headers.contains_key("retry-after"), matches!(status, 429 | 503), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_wrong_request_is_told_why_in_one_shape() {
    let mut config = config();
    config.ingest.request = ByteSize::kib(64);
    let local = Local::start(PIPELINE, config).await;
    let base = local.url.as_str();
    let records = "/v1/streams/clicks/records";
    check(
        base,
        vec![
            get("/", 404, "unknown_route"),
            get("/v1/nope", 404, "unknown_route"),
            get("/v1/streams/nope", 404, "unknown_stream"),
            get("/v1/streams/%FF", 400, "bad_request"),
            get("/v1/streams/nope/sources/x", 404, "unknown_stream"),
            get("/v1/views/nope", 404, "unknown_view"),
            get("/v1/query", 405, "method_not_allowed"),
            get(records, 405, "method_not_allowed"),
            Wrong { method: Method::DELETE, ..get("/v1/views", 405, "method_not_allowed") },
            Wrong { method: Method::PUT, ..get("/v1/recompute", 405, "method_not_allowed") },
            post("/v1/streams/nope/records", None, "{}", 404, "unknown_stream"),
            post(&format!("{records}?sauce=x"), None, "{}", 400, "bad_request"),
            post(&format!("{records}?source=x&first=one"), None, "{}", 400, "bad_request"),
            post(&format!("{records}?source=x"), None, "{}", 400, "bad_request"),
            post(&format!("{records}?source=%FF&first=0"), None, "{}", 400, "bad_request"),
            get("/v1/streams/clicks/sources?source=%FF", 400, "bad_request"),
            post(records, None, vec![b' '; 65 << 10], 413, "too_large"),
            post("/v1/query", None, "SELECT nope FROM total", 400, "undefined_column"),
            post("/v1/query", None, "SELECT * FROM nope", 400, "undefined_table"),
            post("/v1/query", None, "SELEC 1", 400, "syntax_error"),
            post("/v1/query", None, "SELECT 1/0", 400, "division_by_zero"),
            post("/v1/query", None, "DROP TABLE total", 403, "read_only"),
            post("/v1/query", JSON, "{\"query\": \"SELECT 1\"}", 400, "syntax_error"),
            post("/v1/query", None, [0xff, 0xfe], 400, "bad_request"),
            post("/v1/query", None, vec![b' '; (1 << 20) + 1], 413, "too_large"),
            post("/v1/recompute", JSON, "{", 400, "bad_request"),
            post("/v1/recompute", JSON, "{\"vews\": []}", 400, "bad_request"),
            post("/v1/recompute", JSON, "{\"views\": [\"nope\"]}", 404, "unknown_view"),
            post("/v1/verify", JSON, "{\"views\": [\"nope\"]}", 404, "unknown_view"),
            post("/v1/verify", JSON, "[", 400, "bad_request"),
            post("/v1/rollback", None, "{\"generation\": 1}", 415, "unsupported_media_type"),
            post("/v1/rollback", JSON, "{\"generation\": \"one\"}", 400, "bad_request"),
            post("/v1/rollback", JSON, "{", 400, "bad_request"),
            post("/v1/rollback", JSON, "{\"generation\": 1}", 409, "not_possible"),
        ],
    )
    .await;
    local.append("clicks", clicks(0, 100)).await;
    let landed =
        async || (try_number(&local.client, "SELECT landed FROM sys.partitions").await.ok()? == 100).then_some(());
    eventually("100 landed records", landed).await;
    let run: Value = local.client.post("/v1/recompute", &json!({})).await.unwrap();
    assert_eq!(run["generation"], 1, "{run}");
    let rollback = |generation: u64, status, code| {
        post("/v1/rollback", JSON, format!("{{\"generation\": {generation}}}"), status, code)
    };
    check(base, vec![rollback(1, 409, "not_possible"), rollback(7, 404, "unknown_generation")]).await;
    // A command prints the message, not the document.
    let error = local.client.post::<Value>("/v1/rollback", &json!({"generation": 1})).await.unwrap_err().to_string();
    assert_eq!(error, "generation 1 is current already");
}

#[tokio::test]
async fn a_variable_that_sets_nothing_ends_every_command() {
    for command in [&["query", "SELECT 1"][..], &["up", "pipeline.sql"], &["status"]] {
        let output = dovetail().args(command).env("DOVETAIL_SPED_MEMORY", "1GiB").output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{command:?}: {said}");
        let hint = "error: variable `DOVETAIL_SPED_MEMORY` sets nothing: did you mean `DOVETAIL_SPEED_MEMORY`?\n";
        assert_eq!(said, hint, "{command:?}");
    }
}
