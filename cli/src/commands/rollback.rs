//! `dovetail rollback`.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::{Value, json};

use crate::args::Server;
use crate::client::Client;

pub(super) async fn run(generation: u64, server: &Server) -> Result<ExitCode> {
    let client = Client::new(&server.server)?;
    let _: Value = client.post("/v1/rollback", &json!({"generation": generation})).await?;
    eprintln!("generation {generation} is current; the speed layer folds what came after its cut");
    Ok(ExitCode::SUCCESS)
}
