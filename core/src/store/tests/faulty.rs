//! A store that fails or stalls.

use std::time::Duration;

use dovetail_testkit::store::{FakeStore, StoreFault};

use super::*;

/// A store whose first calls go wrong.
fn faulty(fault: StoreFault, calls: u64) -> (Store, Arc<FakeStore>) {
    let faulty = FakeStore::in_memory();
    faulty.faults.set_next(calls, fault, |_| true);
    let settings = StoreSettings {
        timeout: Duration::from_millis(50),
        attempts: 3,
        first_pause: Duration::from_millis(1),
        longest_pause: Duration::from_millis(2),
    };
    let inner: Arc<dyn ObjectStore> = Arc::<FakeStore>::clone(&faulty);
    (Store::new(inner).with_settings(settings), faulty)
}

#[tokio::test]
async fn what_fails_or_stalls_for_a_while_is_tried_again() {
    for fault in [StoreFault::RESET, StoreFault::LosesAnswer, StoreFault::HoldsBefore] {
        let (store, _) = faulty(fault, 2);
        store.put_new(&Path::from("x"), Bytes::from_static(b"one")).await.unwrap();
        assert_eq!(store.get(&Path::from("x")).await.unwrap(), "one", "{fault:?}");
    }
}

#[tokio::test]
async fn patience_has_an_end() {
    let (store, inner) = faulty(StoreFault::HoldsBefore, u64::MAX);
    let error = store.put_new(&Path::from("x"), Bytes::new()).await.unwrap_err();
    let limit = Duration::from_millis(50);
    assert!(matches!(error, StoreError::TimedOut { attempts: 3, limit: l, .. } if l == limit), "{error}");
    assert!(error.to_string().contains("`x`") && error.is_transient(), "{error}");
    assert_eq!(inner.faults.asked().len(), 3);

    let (store, _) = faulty(StoreFault::RESET, u64::MAX);
    let error = store.get(&Path::from("x")).await.unwrap_err();
    assert!(matches!(error, StoreError::Failed { attempts: 3, .. }), "{error}");
}

#[tokio::test]
async fn a_full_disk_is_told_at_once_and_by_name() {
    let (store, inner) = faulty(StoreFault::FULL, 1);
    let error = store.put_new(&Path::from("a/x"), Bytes::new()).await.unwrap_err();
    assert!(matches!(&error, StoreError::Full { path, .. } if path == "a/x"), "{error}");
    assert!(error.is_transient());
    assert_eq!(inner.faults.asked().len(), 1);
    store.put_new(&Path::from("a/x"), Bytes::new()).await.unwrap();
}

#[tokio::test]
async fn a_put_that_was_given_up_may_still_arrive() {
    let (store, inner) = faulty(StoreFault::LosesAnswer, 1);
    let path = Path::from("x");
    inner.objects().put(&path, PutPayload::from_static(b"other")).await.unwrap();
    let error = store.put_new(&path, Bytes::from_static(b"one")).await.unwrap_err();
    assert!(matches!(error, StoreError::Exists { .. }), "{error}");
}
