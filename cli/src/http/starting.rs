//! What a process answers before what it needs has answered: that it lives, and what it waits for.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use dovetail_serving_layer::{Code, Failed, errors_in_shape};
use tower::ServiceExt;

/// The routes to be, and why they are not there yet.
#[derive(Debug, Default)]
pub struct Starting {
    router: OnceLock<Router>,
    reason: Mutex<String>,
}

impl Starting {
    /// Says what is waited for.
    pub fn waits_for(&self, reason: String) {
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    /// From now on, `router` answers.
    pub fn ready(&self, router: Router) {
        // A process starts once.
        let _ = self.router.set(router);
    }

    /// All routes: those of [`Self::ready`] once they are there.
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
    if request.uri().path() == "/healthz" {
        return "ok\n".into_response();
    }
    let reason = starting.reason.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let reason = if reason.is_empty() { "starting".to_owned() } else { format!("starting: {reason}") };
    Failed::new(Code::Starting, reason).into_response()
}
