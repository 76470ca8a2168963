//! stub
pub async fn serve_postgres() {}
