//! Every error of a route in the one shape of errors: also refusals by the framework before a handler is called, and
//! panics of a handler.

use std::panic::AssertUnwindSafe;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use futures::FutureExt;

use super::failed::{Code, Failed};

/// Greatest size of a refusal by the framework, in bytes.
const REFUSAL_BYTES_MAX: usize = 64 << 10;

/// The router with all of its errors in one shape. It has to be outermost, and may be so several times.
pub fn errors_in_shape(router: Router) -> Router {
    // Around each route, a layer would not see which methods it takes: the router says so outside of its layers.
    Router::new().fallback_service(router).layer(from_fn(answer))
}

async fn answer(request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let Ok(response) = AssertUnwindSafe(async move { next.run(request).await }).catch_unwind().await else {
        tracing::error!(%method, path, "a request met a bug");
        return Failed::new(Code::Internal, "the request met a bug and was ended; the server goes on").into_response();
    };
    let failed = response.status().is_client_error() || response.status().is_server_error();
    if failed && !is_json(&response) { shaped(&method, &path, response).await } else { response }
}

fn is_json(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"))
}

async fn shaped(method: &Method, path: &str, response: Response) -> Response {
    let (parts, body) = response.into_parts();
    let text = to_bytes(body, REFUSAL_BYTES_MAX).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    // A body of JSON that the route does not take is as wrong as one that is no JSON.
    let status = match parts.status {
        StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
        status => status,
    };
    let failed = Failed::of(status, message(parts.status, method, path, text.trim()));
    let allowed = parts.headers.get(header::ALLOW).and_then(|allowed| allowed.to_str().ok());
    let failed = match (parts.status, allowed) {
        (StatusCode::METHOD_NOT_ALLOWED, Some(allowed)) => failed.with_hint(format!("it takes {allowed}")),
        _ => failed,
    };
    let mut answer = failed.into_response();
    for name in [header::ALLOW, header::RETRY_AFTER] {
        if let Some(value) = parts.headers.get(&name) {
            answer.headers_mut().insert(name, value.clone());
        }
    }
    answer
}

fn message(status: StatusCode, method: &Method, path: &str, text: &str) -> String {
    match status {
        StatusCode::NOT_FOUND if text.is_empty() => format!("there is no route `{method} {path}`"),
        StatusCode::METHOD_NOT_ALLOWED if text.is_empty() => format!("`{path}` does not take `{method}`"),
        _ if text.is_empty() => status.canonical_reason().unwrap_or("the request failed").to_lowercase(),
        _ => {
            let mut chars = text.chars();
            let first = chars.next().map(|first| first.to_lowercase().to_string()).unwrap_or_default();
            first + chars.as_str()
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::{get, post};
    use serde_json::Value;
    use tokio::net::TcpListener;
    use tokio_util::task::TaskTracker;

    use super::*;

    async fn bug() -> String {
        panic!("a bug")
    }

    #[tokio::test]
    async fn a_panic_and_what_is_no_route_are_answers() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let inner = errors_in_shape(Router::new().route("/bug", get(bug)));
        let router = errors_in_shape(Router::new().route("/both", post(bug).delete(bug)).merge(inner));
        TaskTracker::new().spawn(async move { axum::serve(listener, router).await });
        let ended = "the request met a bug and was ended; the server goes on";
        for (method, path, status, code, message, takes) in [
            (Method::GET, "/bug", 500, "internal", ended, None),
            (Method::PUT, "/bug", 405, "method_not_allowed", "`/bug` does not take `PUT`", Some("GET,HEAD")),
            (Method::GET, "/both", 405, "method_not_allowed", "`/both` does not take `GET`", Some("POST,DELETE")),
            (Method::GET, "/nope?x=1", 404, "unknown_route", "there is no route `GET /nope`", None),
        ] {
            let asked = reqwest::Client::new().request(method, format!("{base}{path}")).send().await.unwrap();
            assert_eq!(asked.status().as_u16(), status, "{path}");
            let allowed = asked.headers().get(header::ALLOW).map(|allowed| allowed.to_str().unwrap());
            assert_eq!(allowed, takes, "{path}");
            let body: Value = serde_json::from_slice(&asked.bytes().await.unwrap()).unwrap();
            assert_eq!((&body["error"]["code"], &body["error"]["message"]), (&code.into(), &message.into()), "{path}");
            assert_eq!(body["error"]["hint"].as_str(), takes.map(|takes| format!("it takes {takes}")).as_deref());
        }
    }
}
