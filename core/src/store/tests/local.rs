//! A folder of objects.

use std::time::Duration;

use tempfile::TempDir;

use super::*;

fn local() -> (Store, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (Store::local(&folder.path().join("objects")).unwrap(), folder)
}

#[tokio::test]
async fn escaped_topics_are_found_again_on_disk() {
    let (store, folder) = local();
    let unique = path::Unique { writer: 1, sequence: 0 };
    let path = path::segment("../Größe %41#1", 0, crate::offsets::OffsetRange::new(0, 5), unique);
    store.put_new(&path, Bytes::from_static(b"x")).await.unwrap();
    let listed = store.list_prefix(&path::segments_of("../Größe %41#1")).await.unwrap();
    assert_eq!(names(&listed), [path.as_ref()]);
    assert!(folder.path().join("objects").join(path.as_ref()).is_file());
}

#[test]
fn a_folder_that_is_a_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(matches!(Store::local(&file), Err(StoreError::Folder { .. })));
}

#[tokio::test]
async fn only_old_staged_files_are_swept() {
    let (_store, folder) = local();
    let staging = folder.path().join("objects/.staging");
    let (old, young) = (staging.join("1#0"), staging.join("1#1"));
    for file in [&old, &young] {
        std::fs::write(file, "half").unwrap();
    }
    let young_ms = std::fs::metadata(&young).unwrap().modified().unwrap();
    let file = std::fs::File::options().write(true).open(&old).unwrap();
    file.set_modified(young_ms - Duration::from_secs(7200)).unwrap();
    Store::local(&folder.path().join("objects")).unwrap();
    assert!(!old.exists() && young.exists());
}

#[tokio::test]
async fn nothing_staged_is_left_or_listed() {
    let (store, folder) = local();
    store.put_new(&Path::from("a/1"), Bytes::from_static(b"x")).await.unwrap();
    store.put_new(&Path::from("a/1"), Bytes::from_static(b"y")).await.unwrap_err();
    assert_eq!(names(&store.list_prefix(&Path::from("")).await.unwrap()), ["a/1"]);
    let staged = std::fs::read_dir(folder.path().join("objects/.staging")).unwrap();
    assert_eq!(staged.count(), 0);
}

#[tokio::test]
async fn a_folder_is_opened_by_its_path_or_url() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("objects").display().to_string();
    let open = |url: &str| Store::open(url, &S3Options::default());
    open(&path).unwrap().put_new(&Path::from("x"), Bytes::from_static(b"one")).await.unwrap();
    assert_eq!(open(&format!("file://{path}")).unwrap().get(&Path::from("x")).await.unwrap(), "one");
    for wrong in ["file://relative/x", "file:///a%20b", "gs://bucket/x", "ftp://user:secret@host/x"] {
        let error = open(wrong).unwrap_err();
        assert!(matches!(error, StoreError::Url { .. }), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
