//! Queries and status over HTTP, through a real socket.

use std::io::Cursor;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::ipc::reader::StreamReader;
use dovetail_core::offsets::Cut;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use super::world::{World, config};
use crate::{ServingConfig, router};

pub(super) struct Http {
    pub(super) world: World,
    pub(super) base: String,
    pub(super) client: Client,
}

pub(super) async fn http() -> Http {
    let world = World::new().await;
    world.append_all(&[("ann", "/a", 10), ("bob", "/b", 20), ("ann", "/a", 300)]);
    world.publish(&[]).await;
    http_of(world).await
}

pub(super) async fn http_of(world: World) -> Http {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let app = router(Arc::clone(&world.serving));
    TaskTracker::new().spawn(async move { axum::serve(listener, app).await });
    Http { world, base, client: Client::new() }
}

impl Http {
    pub(super) async fn ask(&self, accept: &str, sql: &str) -> reqwest::Response {
        let request = self.client.post(format!("{}/v1/query", self.base)).header("accept", accept);
        request.body(sql.to_owned()).send().await.unwrap()
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        let response = self.client.get(format!("{}{path}", self.base)).send().await.unwrap();
        (response.status(), response.text().await.unwrap())
    }
}

#[tokio::test]
async fn rows_come_as_json_with_what_they_are_as_of() {
    let http = http().await;
    let response = http.ask("*/*", "SELECT page, clicks FROM by_page ORDER BY page").await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["dovetail-generation"], "1");
    assert_eq!(response.headers()["dovetail-cut"], r#"{"0":2,"1":1}"#);
    assert_eq!(response.headers()["dovetail-head"], r#"{"0":2,"1":1}"#);
    let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    assert_eq!(body["rows"], json!([{"page": "/a", "clicks": 2}, {"page": "/b", "clicks": 1}]));
    assert_eq!(body["columns"][0], json!({"name": "page", "type": "Utf8"}));
    assert_eq!(body["as_of"][0]["generation"], 1);
}

#[tokio::test]
async fn other_formats_by_accept() {
    let http = http().await;
    let sql = "SELECT page, clicks, NULL AS no FROM by_page ORDER BY page";
    let text = http.ask("text/csv", sql).await.text().await.unwrap();
    assert_eq!(text, "page,clicks,no\n/a,2,\n/b,1,\n");
    let text = http.ask("application/x-ndjson", sql).await.text().await.unwrap();
    assert_eq!(text, "{\"page\":\"/a\",\"clicks\":2,\"no\":null}\n{\"page\":\"/b\",\"clicks\":1,\"no\":null}\n");
    let bytes = http.ask("application/vnd.apache.arrow.stream", sql).await.bytes().await.unwrap();
    let rows: usize = StreamReader::try_new(Cursor::new(bytes), None).unwrap().map(|b| b.unwrap().num_rows()).sum();
    assert_eq!(rows, 2);
    assert_eq!(http.ask("image/png", sql).await.status(), StatusCode::BAD_REQUEST);
}

/// As DuckDB's `to_json` has them.
#[tokio::test]
async fn cells_of_csv_that_hold_several_values_are_json() {
    let http = http().await;
    let sql = "SELECT [1, NULL, 3] AS l, named_struct('a', 'x,\"y\"', 'b', [TIMESTAMP '2026-01-01']) AS s, \
               map(['k'], [1.5]) AS m, CAST(NULL AS BIGINT[]) AS n, [] AS e, 7 AS i";
    let text = http.ask("text/csv", sql).await.text().await.unwrap();
    let row = r#""[1,null,3]","{""a"":""x,\""y\"""",""b"":[""2026-01-01T00:00:00""]}","{""k"":1.5}",,[],7"#;
    assert_eq!(text, format!("l,s,m,n,e,i\n{row}\n"));
    let none = http.ask("text/csv", "SELECT [page] AS l FROM by_page WHERE page = 'nope'").await.text().await.unwrap();
    assert_eq!(none, "l\n");
}

#[tokio::test]
async fn an_empty_answer_still_has_its_shape() {
    let http = http().await;
    let sql = "SELECT page FROM by_page WHERE page = 'nope'";
    let body: Value = serde_json::from_str(&http.ask("application/json", sql).await.text().await.unwrap()).unwrap();
    assert_eq!((body["rows"].clone(), body["columns"][0]["name"].clone()), (json!([]), json!("page")));
    assert_eq!(http.ask("text/csv", sql).await.text().await.unwrap(), "page\n");
    assert_eq!(http.ask("application/x-ndjson", sql).await.text().await.unwrap(), "");
    let bytes = http.ask("application/vnd.apache.arrow.stream", sql).await.bytes().await.unwrap();
    assert_eq!(StreamReader::try_new(Cursor::new(bytes), None).unwrap().schema().field(0).name(), "page");
}

#[tokio::test]
async fn many_rows_are_one_document() {
    let http = http().await;
    let body = http
        .ask(
            "*/*",
            "SELECT a.x, b.x FROM generate_series(1, 50000) a(x) JOIN generate_series(1, 50000) b(x) ON a.x = b.x",
        )
        .await
        .text()
        .await
        .unwrap();
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["rows"].as_array().unwrap().len(), 50_000);
    assert_eq!(body["columns"][1]["name"], "x_2");
}

#[tokio::test]
async fn parameters_are_bound() {
    let http = http().await;
    let ask = async |body: Value| {
        let request = http.client.post(format!("{}/v1/query", http.base)).header("content-type", "application/json");
        let response = request.body(body.to_string()).send().await.unwrap();
        (response.status(), serde_json::from_str::<Value>(&response.text().await.unwrap()).unwrap())
    };
    let sql = "SELECT page FROM by_page WHERE clicks > $1 AND page LIKE $2";
    let (_, body) = ask(json!({ "sql": sql, "params": ["1", "/%"] })).await;
    assert_eq!(body["rows"], json!([{"page": "/a"}]));
    let (_, body) = ask(json!({ "sql": "SELECT $1::bigint + 1 AS n, $2 AS t", "params": [41, "x'; --"] })).await;
    assert_eq!(body["rows"], json!([{"n": 42, "t": "x'; --"}]));
    let (status, body) = ask(json!({ "sql": sql, "params": [1] })).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body["error"]["message"].as_str().unwrap().contains("2 parameters"), "{body}");
    let (status, _) = ask(json!({ "query": "SELECT 1" })).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn errors_are_documents_too() {
    let http = http().await;
    for (sql, status, code) in [
        ("SELECT nope FROM by_page", 400, "undefined_column"),
        ("SELECT 1 +", 400, "syntax_error"),
        ("DROP TABLE by_page", 403, "read_only"),
        ("BEGIN", 400, "unsupported"),
        ("SELECT 1/0", 400, "division_by_zero"),
    ] {
        let response = http.ask("*/*", sql).await;
        assert_eq!(response.status().as_u16(), status, "{sql}");
        let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        assert_eq!(body["error"]["code"], code, "{sql}: {body}");
    }
    let body: Value =
        serde_json::from_str(&http.ask("*/*", "SELECT\n nope FROM by_page").await.text().await.unwrap()).unwrap();
    assert_eq!((body["error"]["line"].clone(), body["error"]["column"].clone()), (json!(2), json!(2)));
}

#[tokio::test]
async fn status_pages_tell_how_it_stands() {
    let http = http().await;
    assert_eq!(http.get("/healthz").await.0, StatusCode::OK);
    assert_eq!(http.get("/readyz").await, (StatusCode::OK, "ready\n".to_owned()));
    assert_eq!(http.get("/metrics").await.0, StatusCode::OK);
    let status: Value = serde_json::from_str(&http.get("/v1/status").await.1).unwrap();
    assert_eq!((&status["generation"], &status["layers"]["speed"]), (&json!(1), &json!("ok")));
    assert_eq!(status["partitions"].as_array().unwrap().len(), 2);
    let views: Value = serde_json::from_str(&http.get("/v1/views").await.1).unwrap();
    assert_eq!(views["views"].as_array().unwrap().len(), 5);
    let view: Value = serde_json::from_str(&http.get("/v1/views/by_page").await.1).unwrap();
    assert_eq!((&view["state"], &view["columns"][0]["name"]), (&json!("filled"), &json!("page")));
    assert_eq!(http.get("/v1/views/nope").await.0, StatusCode::NOT_FOUND);
    http.world.publish(&["by_page"]).await;
    let (code, reasons) = http.get("/readyz").await;
    assert_eq!(code, StatusCode::SERVICE_UNAVAILABLE);
    assert!(reasons.contains("`by_user` is not filled"), "{reasons}");
}

#[tokio::test]
async fn an_error_among_the_first_rows_is_an_error() {
    let http = http().await;
    let response = http.ask("*/*", "SELECT 1 / (x - 20000) FROM generate_series(1, 50000) t(x)").await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    assert_eq!((&body["error"]["code"], &body["rows"]), (&json!("division_by_zero"), &Value::Null));
}

#[tokio::test]
async fn an_error_after_many_rows_is_told_where_the_format_can() {
    let http = http().await;
    let sql = "SELECT x, 1 / (x - 900000) AS y FROM generate_series(1, 1000000) t(x)";
    let response = http.ask("*/*", sql).await;
    assert_eq!(response.status(), StatusCode::OK);
    let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    assert_eq!(body["error"]["code"], "division_by_zero", "{}", body["error"]);
    assert!(body["rows"].as_array().unwrap().len() > 50_000);
    let text = http.ask("application/x-ndjson", sql).await.text().await.unwrap();
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!((&last["error"]["code"], text.lines().count() > 50_000), (&json!("division_by_zero"), true));
    for accept in ["text/csv", "application/vnd.apache.arrow.stream"] {
        let response = http.ask(accept, sql).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert!(response.bytes().await.is_err(), "{accept}: the body looks whole");
    }
}

#[tokio::test]
async fn views_that_all_wait_are_named_in_the_time_of_one() {
    let views = 40;
    let view = |i| format!("CREATE VIEW v{i} AS SELECT page, count(*) AS n FROM clicks GROUP BY page;\n");
    let sql = format!(
        "CREATE EXTERNAL TABLE clicks (user_id VARCHAR, page VARCHAR, ms BIGINT)
         STORED AS JSON LOCATION 'kafka://Clicks' OPTIONS ('partitions' '2');\n{}",
        (0..views).map(view).collect::<String>()
    );
    let wait = Duration::from_secs(1);
    let http = http_of(World::with(&sql, ServingConfig { catch_up: wait, ..config() }).await).await;
    assert_eq!(http.get("/readyz").await.0, StatusCode::OK);
    // None of them has reached where the batch views end.
    *http.world.rows.reached.lock().unwrap() = Some(Cut([(0, 7)].into_iter().collect()));
    let began = Instant::now();
    let (status, body) = http.get("/readyz").await;
    assert!(began.elapsed() < wait * views / 2, "they waited one after the other: {:?}", began.elapsed());
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["error"]["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("not_ready")));
    let message = body["error"]["message"].as_str().unwrap();
    assert!((0..views).all(|i| message.contains(&format!("`v{i}`"))), "{message}");
}
