//! `dovetail rollback`.

use std::process::ExitCode;

use anyhow::Result;
use dovetail_api::Client;

use crate::args::Server;

pub(super) async fn run(generation: u64, server: &Server) -> Result<ExitCode> {
    let client = Client::new(&server.server)?;
    client.rollback(generation).await?;
    eprintln!("generation {generation} is current; the speed layer folds what came after its cut");
    Ok(ExitCode::SUCCESS)
}
