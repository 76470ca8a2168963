//! The store in memory, in a folder, and in a bucket when `DOVETAIL_TEST_S3` names one (`eval "$(dev/s3 up)"`).

#![expect(clippy::disallowed_methods, reason = "tests wait in real time")]

mod faulty;
mod local;
mod place;
mod s3;

use super::*;

use self::place::{Place, on_each_store, on_s3};

fn names(objects: &[ObjectMeta]) -> Vec<&str> {
    objects.iter().map(|object| object.location.as_ref()).collect()
}

async fn objects_are_created_once(place: Place) {
    let store = &place.store;
    let path = Path::from("segments/a/0/x.parquet");
    store.put_new(&path, Bytes::from_static(b"one")).await.unwrap();
    store.put_new(&path, Bytes::from_static(b"one")).await.unwrap();
    let error = store.put_new(&path, Bytes::from_static(b"two")).await.unwrap_err();
    assert!(matches!(&error, StoreError::Exists { path } if path == "segments/a/0/x.parquet"), "{error}");
    assert_eq!(store.get(&path).await.unwrap(), "one");
    assert_eq!(store.size(&path).await.unwrap(), 3);
}

async fn of_many_puts_at_once_one_wins_and_none_is_torn(place: Place) {
    let store = &place.store;
    let path = Path::from("x");
    let content = |n: u8| Bytes::from(vec![n; 100_000]);
    let puts = futures::future::join_all((0..8).map(|n| store.put_new(&path, content(n)))).await;
    assert_eq!(puts.iter().filter(|put| put.is_ok()).count(), 1);
    let winner = puts.iter().position(|put| put.is_ok()).unwrap();
    assert_eq!(store.get(&path).await.unwrap(), content(winner.try_into().unwrap()));
}

async fn objects_are_listed_and_deleted(place: Place) {
    let store = &place.store;
    for path in ["a/2", "a/1", "a/b/3", "ab/4"] {
        store.put_new(&Path::from(path), Bytes::from_static(b"x")).await.unwrap();
    }
    assert_eq!(names(&store.list_prefix(&Path::from("a")).await.unwrap()), ["a/1", "a/2", "a/b/3"]);
    assert!(store.list_prefix(&Path::from("none")).await.unwrap().is_empty());
    assert_eq!(store.list_prefix(&Path::from("")).await.unwrap().len(), 4);

    let path = Path::from("a/1");
    assert!(store.exists(&path).await.unwrap());
    store.delete(&path).await.unwrap();
    store.delete(&path).await.unwrap();
    assert!(!store.exists(&path).await.unwrap());
    let error = store.get(&path).await.unwrap_err();
    assert!(matches!(error, StoreError::Missing { .. }));
    assert!(error.to_string().starts_with("object `a/1` is missing"), "{error}");
}

async fn datafusion_finds_the_store(place: Place) {
    let store = &place.store;
    let runtime = RuntimeEnv::default();
    store.register(&runtime);
    let path = Path::from("x");
    store.put_new(&path, Bytes::from_static(b"one")).await.unwrap();
    let found = runtime.object_store(store.url()).unwrap();
    assert_eq!(found.get(&path).await.unwrap().bytes().await.unwrap(), "one");
}

async fn parts_of_an_object_are_read(place: Place) {
    let content: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    let path = Path::from("parts/x");
    place.store.put_new(&path, content.clone().into()).await.unwrap();
    let ranges = [0..10, 399_000..400_000, 17..18];
    let read = place.store.object_store().get_ranges(&path, &ranges).await.unwrap();
    for (range, read) in ranges.into_iter().zip(read) {
        assert_eq!(read, content[range.start as usize..range.end as usize]);
    }
}

on_each_store! {
    objects_are_created_once,
    of_many_puts_at_once_one_wins_and_none_is_torn,
    objects_are_listed_and_deleted,
    datafusion_finds_the_store,
    parts_of_an_object_are_read,
}
