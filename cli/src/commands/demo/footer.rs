//! Below the panel: commands to try, with this process's addresses.

use super::panel::{Ink, MARGIN, NAME, pad};
use crate::args::Demo;
use dovetail_server::process::running::Running;

/// Commands to try, with this process's addresses.
pub(super) fn footer(args: &Demo, running: &Running) -> Vec<String> {
    let ink = Ink::new();
    let http = running.http;
    let server = match http.port() {
        8311 => String::new(),
        _ => format!(" --server http://{http}"),
    };
    let line = |name: &str, command: String| format!("{MARGIN}{}{command}", pad(name, NAME, &ink.strong));
    let end = match args.exit_after {
        Some(_) => "ends by itself with `verify`; Ctrl-C stops",
        None => "Ctrl-C stops",
    };
    vec![
        line("try", running.psql()),
        line("", format!("curl http://{http}/v1/query -d 'TABLE open_requests'")),
        line("", format!("dovetail query{server} 'SELECT * FROM time_to_close'")),
        line("", format!("dovetail verify{server}")),
        format!("{MARGIN}{}", ink.quiet.apply_to(end)),
    ]
}
