//! Verifying, and how far that has come.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use dovetail_serving_layer::{Code, Failed, QueryError};
use serde::Deserialize;

use super::{App, parsed};
use crate::verify::{Verdict, Verified, verify_all};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct VerifyBody {
    views: Vec<String>,
}

pub(super) async fn verify(State(app): State<Arc<App>>, body: Bytes) -> Result<axum::Json<Vec<Verdict>>, Failed> {
    let body: VerifyBody = parsed(&body)?;
    let known = |name: &str| app.engine.views.iter().any(|view| view.name.as_str() == name);
    if let Some(unknown) = body.views.iter().find(|name| !known(name)) {
        return Err(Failed::new(Code::UnknownView, format!("no view `{unknown}` that is folded")));
    }
    let wanted = |name: &str| body.views.is_empty() || body.views.iter().any(|wanted| wanted == name);
    let views: Vec<_> = app.engine.views.iter().filter(|view| wanted(view.name.as_str())).cloned().collect();
    let verdicts = verify_all(&app.engine, &views, &app.verifying).await;
    verdicts.map(axum::Json).map_err(|error| not_verified(&error))
}

/// Of a query that was refused, what it says itself; all else goes by itself once somebody answers, or is told.
fn not_verified(error: &anyhow::Error) -> Failed {
    match error.downcast_ref::<QueryError>() {
        Some(query) => Failed::from(query),
        None => Failed::new(Code::Unavailable, format!("{error:#}")),
    }
}

pub(super) async fn progress(State(app): State<Arc<App>>) -> axum::Json<Verified> {
    axum::Json(app.verifying.now())
}
