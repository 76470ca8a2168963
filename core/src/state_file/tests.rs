use std::path::Path;
use std::sync::Arc;

use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

use super::*;
use crate::pipeline::Pipeline;
use crate::view::{Planned, Planner};

const PIPELINE: &str = "
CREATE EXTERNAL TABLE clicks (page VARCHAR) STORED AS JSON LOCATION 'kafka://Clicks';
CREATE VIEW by_page AS SELECT page, count(*) AS n FROM clicks GROUP BY page;
";

async fn view() -> Arc<View> {
    let pipeline = Pipeline::parse(PIPELINE, Path::new("pipeline.sql")).unwrap();
    match Planner::new(&pipeline).await.unwrap().plan(&pipeline.views[0]).await.unwrap() {
        Planned::Folded(view) => view,
        Planned::Derived(_) => panic!("it is folded"),
    }
}

fn cut(offset: i64) -> Cut {
    Cut([(0, offset), (1, 7)].into_iter().collect())
}

/// An object of no states.
fn object(view: &View, about: Vec<KeyValue>) -> (StateFile, Bytes) {
    let mut bytes = vec![];
    let properties = WriterProperties::builder().set_key_value_metadata(Some(about)).build();
    ArrowWriter::try_new(&mut bytes, view.state_schema(), Some(properties)).unwrap().close().unwrap();
    let path = path::states(Generation(3), &view.name, 0).to_string();
    (StateFile { path, bytes: bytes.len() as u64, rows: 0 }, bytes.into())
}

fn states(view: &View, file: &StateFile) -> ViewStates {
    ViewStates {
        fingerprint: view.fingerprint.clone(),
        stream: view.stream.clone(),
        topic: "Clicks".to_owned(),
        cut: cut(20),
        rows: 0,
        groups: 0,
        files: vec![file.clone()],
        deltas: vec![],
        errors: crate::manifest::LeftOut::default(),
    }
}

fn read_all(view: &View, about: Vec<KeyValue>) -> Result<usize, String> {
    let (file, bytes) = object(view, about);
    let rows = read(view, &states(view, &file), &file, bytes).map_err(|error| error.to_string())?;
    let batches: Result<Vec<_>, _> = rows.collect();
    batches.map(|batches| batches.len()).map_err(|error| error.to_string())
}

#[tokio::test]
async fn the_object_that_was_written_is_read() {
    let view = &view().await;
    for at in [0, 19, 20] {
        assert_eq!(read_all(view, about(view, &cut(at), Generation(3))), Ok(0), "states that were carried over");
    }
}

#[tokio::test]
async fn what_was_written_for_something_else_is_refused() {
    let view = &view().await;
    let mut changed = about(view, &cut(20), Generation(3));
    changed[1].value = Some("abc".to_owned());
    let wanted = format!("its states are of fingerprint `abc`, those wanted are of `{}`", view.fingerprint);
    assert_eq!(read_all(view, changed).unwrap_err(), wanted);
    let mut renamed = about(view, &cut(20), Generation(3));
    renamed[0].value = Some("by_page_too".to_owned());
    let error = read_all(view, renamed).unwrap_err();
    assert_eq!(error, "its states are of view `by_page_too`, those wanted are of `by_page`");
    let error = read_all(view, about(view, &cut(20), Generation(4))).unwrap_err();
    assert!(error.starts_with("its states are of generation `4`, those wanted are of `generations/"), "{error}");
    let error = read_all(view, about(view, &cut(21), Generation(3))).unwrap_err();
    assert_eq!(error, "its states reach to {0: 21, 1: 7}, past the cut {0: 20, 1: 7}");
    let error = read_all(view, vec![]).unwrap_err();
    assert_eq!(error, "its metadata does not say of what fingerprint its states are");
}

#[tokio::test]
async fn states_of_a_later_format_are_refused_before_all_else() {
    let view = &view().await;
    let mut later = about(view, &cut(20), Generation(3));
    later.last_mut().unwrap().value = Some("3".to_owned());
    later[1].value = Some("abc".to_owned());
    let error = read_all(view, later).unwrap_err();
    let wanted = "it has format 3, this program reads formats up to 2: use the version that wrote it, or a newer one";
    assert_eq!(error, wanted);
}

#[tokio::test]
async fn what_was_damaged_is_refused() {
    let view = &view().await;
    let (file, bytes) = object(view, about(view, &cut(20), Generation(3)));
    let of = states(view, &file);
    let error = read(view, &of, &file, bytes.slice(1..)).unwrap_err();
    assert!(matches!(error, StateFileError::Bytes { .. }), "{error}");
    let garbage = Bytes::from(vec![b'x'; bytes.len()]);
    assert!(matches!(read(view, &of, &file, garbage).unwrap_err(), StateFileError::Parquet(_)));
    let more = StateFile { rows: 2, ..file };
    let last = read(view, &of, &more, bytes).unwrap().last().unwrap();
    assert_eq!(last.unwrap_err().to_string(), "it holds 0 states instead of 2");
}
