//! `dovetail check`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use dovetail_core::view::Planned;

use dovetail_server::process::plan::Plan;

pub(super) async fn run(pipeline: &Path) -> Result<ExitCode> {
    match Plan::load(pipeline).await {
        Ok(plan) => {
            for note in &plan.pipeline.notes {
                eprintln!("{}:{note}", pipeline.display());
            }
            #[expect(clippy::print_stdout, reason = "the command's result")]
            for line in summary(&plan) {
                println!("{line}");
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(errors) => {
            eprint!("{errors}");
            eprintln!();
            Ok(ExitCode::from(1))
        }
    }
}

fn summary(plan: &Plan) -> Vec<String> {
    let streams = plan.pipeline.streams.iter().map(|s| format!("stream {} on topic {}", s.name, s.topic));
    let lookups = plan.pipeline.lookups.iter().map(|l| format!("lookup {} from {}", l.name, l.path.display()));
    let views = plan.views.iter().map(|view| match view {
        Planned::Folded(view) => {
            let kind = if view.is_aggregate() { "groups" } else { "rows" };
            let exact = format!("{:?}", view.exactness).to_lowercase();
            format!("view {} folds {} into {kind}, exact to: {exact}", view.name, view.stream)
        }
        Planned::Derived(view) => format!("view {} reads other views", view.name),
    });
    streams.chain(lookups).chain(views).collect()
}
