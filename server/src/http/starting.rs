//! The answers of a process before its backends have answered: the process lives, and the reason why it waits.

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use dovetail_api::paths;
use dovetail_serving_layer::{Code, Failed, errors_in_shape};
use parking_lot::Mutex;
use tower::ServiceExt;

/// The routes, once they exist, and the reason why they do not yet.
#[derive(Debug, Default)]
pub struct Starting {
    router: OnceLock<Router>,
    reason: Mutex<String>,
}

impl Starting {
    /// Sets the reason for waiting.
    pub fn waits_for(&self, reason: String) {
        *self.reason.lock() = reason;
    }

    /// Passes requests to `router` from now on.
    pub fn ready(&self, router: Router) {
        // A process starts once.
        let _ = self.router.set(router);
    }

    /// All routes: those of [`Self::ready`] once they exist.
    pub fn router(self: &Arc<Self>) -> Router {
        errors_in_shape(Router::new().fallback(answer).with_state(Arc::clone(self)))
    }
}

async fn answer(State(starting): State<Arc<Starting>>, request: Request) -> Response {
    if let Some(router) = starting.router.get() {
        return match router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
    }
    if request.uri().path() == paths::HEALTHZ {
        return "ok\n".into_response();
    }
    let reason = starting.reason.lock().clone();
    let reason = if reason.is_empty() { "starting".to_owned() } else { format!("starting: {reason}") };
    Failed::new(Code::Starting, reason).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use serde_json::{Value, json};

    use super::*;

    async fn asked(starting: &Arc<Starting>, path: &str) -> (u16, String) {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        let answer = starting.router().oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        (status, String::from_utf8(to_bytes(answer.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap())
    }

    #[tokio::test]
    async fn what_it_waits_for_is_an_error_like_any_other() {
        let starting = Arc::<Starting>::default();
        starting.waits_for("no broker answers".to_owned());
        assert_eq!(asked(&starting, "/healthz").await, (200, "ok\n".to_owned()));
        let (status, body) = asked(&starting, "/v1/query").await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(status, 503);
        assert_eq!(body, json!({"error": {"message": "starting: no broker answers", "code": "starting"}}));
        starting.ready(Router::new());
        let (status, body) = asked(&starting, "/v1/query").await;
        assert!(status == 404 && body.contains("\"unknown_route\""), "{body}");
    }
}
