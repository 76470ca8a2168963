//! Files that are no data: refused before the first record.

use super::shared;
use super::streams::text;
use crate::support::{Server, data, said};

async fn check(server: &Server, from: &str, options: &[&str], expected: &[&str]) {
    let arguments = [&["ingest", "service_requests", "--from", from], options].concat();
    let output = server.command(&arguments).output().await.unwrap();
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(expected.iter().all(|expected| text.contains(expected)), "{text}");
    server.check("SELECT sum(log_end) FROM sys.partitions", &["0"]).await;
}

#[tokio::test]
async fn files_that_are_no_data_leave_the_log_as_it_was() {
    let Some(folder) = shared("files_that_are_no_data_leave_the_log_as_it_was") else { return };
    let server = Server::started(&data().join("nyc311/pipeline.sql")).await;
    let bad = |file: &str| text(&folder.join("bad").join(file));
    check(&server, &bad("html_page_saved_as.csv"), &[], &["html_page_saved_as.csv", "an HTML page"]).await;
    check(&server, &bad("git_lfs_pointer_as.csv"), &[], &["git_lfs_pointer_as.csv", "a git-lfs pointer"]).await;
    // Nor does it help to call it CSV: neither has a column of the stream.
    check(&server, &bad("html_page_saved_as.csv"), &["--input-format", "csv"], &["html_page_saved_as.csv"]).await;
    check(&server, &bad("git_lfs_pointer_as.csv"), &["--input-format", "csv"], &["git_lfs_pointer_as.csv"]).await;
}

#[tokio::test]
async fn what_cannot_be_read_leaves_the_log_as_it_was() {
    let server = Server::started(&data().join("nyc311/pipeline.sql")).await;
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.ndjson");
    std::fs::write(&empty, "").unwrap();
    check(&server, &text(&empty), &[], &["empty.ndjson"]).await;
    check(&server, &text(&folder.path().join("absent.csv")), &[], &["absent.csv"]).await;
    check(&server, &text(folder.path()), &[], &["directory"]).await;
    let page = folder.path().join("page.csv");
    std::fs::write(&page, "<!DOCTYPE html>\n<html><body>not found</body></html>\n").unwrap();
    check(&server, &text(&page), &[], &["page.csv", "an HTML page"]).await;
    let output = server.command(&["ingest", "servicerequests", "--from", &text(&page)]).output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("no stream `servicerequests`; there are service_requests"), "{}", said(&output));
}
