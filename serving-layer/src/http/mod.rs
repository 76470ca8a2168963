//! stub
use std::sync::Arc;
pub fn router(serving: Arc<crate::Serving>) -> axum::Router { let _ = serving; axum::Router::new() }
