//! Cancelling a statement whose rows are being sent.

use std::sync::Arc;

use datafusion_postgres::pgwire::api::results::QueryResponse;
use datafusion_postgres::pgwire::api::{ClientInfo, ConnectionHandle};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::data::DataRow;
use futures::StreamExt;
use futures::channel::oneshot::Canceled;
use futures::future::{Either, select};

/// The response with an error at its end when its client cancels. A cancellation before the first row is handled by the
/// task that waits for it.
pub(super) fn cancellable<C: ClientInfo + ?Sized>(client: &C, response: QueryResponse) -> QueryResponse {
    let Some(handle) = client.session_extensions().get::<Arc<ConnectionHandle>>() else { return response };
    let handle = Arc::clone(handle.as_ref());
    let fields = response.row_schema();
    let rows = futures::stream::unfold(Some((response, handle, None)), |sending| async move {
        let (mut response, handle, mut asked) = sending?;
        loop {
            let cancelled = match &mut asked {
                Some(cancelled) => cancelled,
                None => asked.insert(handle.start_query().await),
            };
            let row: Option<PgWireResult<DataRow>> = match select(response.data_rows().next(), cancelled).await {
                Either::Left((row, _)) => row,
                Either::Right((Ok(()), _)) => return Some((Err(PgWireError::QueryCanceled), None)),
                // The connection has begun another statement meanwhile.
                Either::Right((Err(Canceled), _)) => {
                    asked = None;
                    continue;
                }
            };
            return row.map(|row| (row, Some((response, handle, asked))));
        }
    });
    QueryResponse::new(fields, rows)
}
