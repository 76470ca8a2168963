//! A bucket whose server fails, stalls, and loses answers.

use std::time::Duration;

use dovetail_testkit::s3::{S3Fault, S3Proxy};
use dovetail_testkit::wire::Wire;
use object_store::path::Path;

use super::*;

const ATTEMPTS: u32 = 4;

const SETTINGS: StoreSettings = StoreSettings {
    timeout: Duration::from_millis(500),
    attempts: ATTEMPTS,
    first_pause: Duration::from_millis(5),
    longest_pause: Duration::from_millis(50),
};

async fn faulty(place: &Place) -> (Store, S3Proxy) {
    let proxy = S3Proxy::to(place.server()).await;
    (place.through(proxy.address).with_settings(SETTINGS), proxy)
}

fn is(method: &'static str) -> impl Fn(&String) -> bool {
    move |of| of == method
}

fn any(_: &String) -> bool {
    true
}

const EVERY: [S3Fault; 4] = [S3Fault::Unavailable, S3Fault::Stalls, S3Fault::LosesAnswer, S3Fault::Resets];

async fn what_goes_wrong_for_a_while_is_tried_again(place: Place) {
    let (store, proxy) = faulty(&place).await;
    let faults = &proxy.faults;
    for (n, fault) in EVERY.into_iter().enumerate() {
        let (path, content) = (Path::from(format!("segments/{n}")), Bytes::from(vec![7; 300_000]));
        let some = u64::from(ATTEMPTS - 1);
        faults.set_next(some, fault, is("PUT"));
        store.put_new(&path, content.clone()).await.unwrap();
        assert_eq!(faults.met(), some, "{fault:?}");
        faults.set_next(some, fault, is("GET"));
        assert_eq!(store.get(&path).await.unwrap(), content, "{fault:?}");
        faults.set_next(some, fault, any);
        assert_eq!(store.list_prefix(&Path::from("segments")).await.unwrap().len(), n + 1, "{fault:?}");
        faults.set_next(some, fault, any);
        assert_eq!(store.size(&path).await.unwrap(), 300_000, "{fault:?}");
        assert_eq!(faults.met(), some);
    }
    for n in 0..EVERY.len() {
        faults.set_next(2, S3Fault::LosesAnswer, any);
        store.delete(&Path::from(format!("segments/{n}"))).await.unwrap();
        assert_eq!(faults.met(), 2);
    }
    assert!(place.store.list_prefix(&Path::from("")).await.unwrap().is_empty());
}

async fn a_put_whose_answer_was_lost_does_not_hide_what_another_put(place: Place) {
    let (store, proxy) = faulty(&place).await;
    let faults = &proxy.faults;
    let path = Path::from("x");
    place.store.put_new(&path, Bytes::from_static(b"other")).await.unwrap();
    faults.set_next(2, S3Fault::LosesAnswer, any);
    let error = store.put_new(&path, Bytes::from_static(b"one")).await.unwrap_err();
    assert!(matches!(&error, StoreError::Exists { path } if path == "x"), "{error}");
    assert_eq!(place.store.get(&path).await.unwrap(), "other");
}

async fn patience_has_an_end(place: Place) {
    let (store, proxy) = faulty(&place).await;
    let faults = &proxy.faults;
    let path = Path::from("a/x");
    for fault in EVERY {
        faults.set(fault, is("PUT"));
        let error = store.put_new(&path, Bytes::from_static(b"one")).await.unwrap_err();
        assert!(error.is_transient() && error.to_string().contains("`a/x`"), "{fault:?}: {error}");
        assert_eq!(faults.met(), u64::from(ATTEMPTS), "nobody else repeats a put");
    }
    faults.heal();
    store.put_new(&path, Bytes::from_static(b"one")).await.unwrap();
}

async fn readers_that_repeat_nothing_are_served_all_the_same(place: Place) {
    let (store, proxy) = faulty(&place).await;
    let faults = &proxy.faults;
    let path = Path::from("x");
    store.put_new(&path, Bytes::from_static(b"one")).await.unwrap();
    for fault in [S3Fault::Unavailable, S3Fault::Resets] {
        faults.set_next(2, fault, any);
        let found = store.object_store().get(&path).await.unwrap().bytes().await.unwrap();
        assert_eq!((found.as_ref(), faults.met()), (b"one".as_slice(), 2));
    }
}

async fn a_server_that_comes_back_is_waited_for(place: Place) {
    let wire = Wire::to(place.server()).await;
    let patient = StoreSettings { attempts: 100, ..SETTINGS };
    let store = place.through(wire.address).with_settings(patient);
    for n in 0..3 {
        let path = Path::from(format!("{n}"));
        wire.down();
        let back = async {
            wire.turned_away(3).await;
            wire.up();
        };
        let ((), put) = tokio::join!(back, store.put_new(&path, Bytes::from_static(b"one")));
        put.unwrap();
    }
    wire.freeze();
    let thaw = async {
        tokio::time::sleep(SETTINGS.timeout).await;
        wire.up();
    };
    let frozen = Path::from("frozen");
    let ((), put) = tokio::join!(thaw, store.put_new(&frozen, Bytes::from_static(b"one")));
    put.unwrap();
    assert_eq!(place.store.list_prefix(&Path::from("")).await.unwrap().len(), 4);
}

async fn what_will_not_mend_is_told_at_once(place: Place) {
    let (store, proxy) = faulty(&place).await;
    let faults = &proxy.faults;
    faults.set(S3Fault::Forbidden, any);
    let error = store.put_new(&Path::from("x"), Bytes::new()).await.unwrap_err();
    assert!(matches!(error, StoreError::Denied { .. }) && !error.is_transient(), "{error}");
    assert_eq!(faults.met(), 1);

    let elsewhere = format!("s3://no-{}", place.url.trim_start_matches("s3://"));
    let store = Store::open(&elsewhere, &S3Options::default()).unwrap();
    let error = store.list_prefix(&Path::from("a")).await.unwrap_err();
    assert!(matches!(error, StoreError::NoBucket { .. }) && !error.is_transient(), "{error}");
    assert_eq!(error.to_string(), "could not list object `a`: the bucket is missing: make it, or name another");
}

on_s3! {
    what_goes_wrong_for_a_while_is_tried_again,
    a_put_whose_answer_was_lost_does_not_hide_what_another_put,
    patience_has_an_end,
    readers_that_repeat_nothing_are_served_all_the_same,
    a_server_that_comes_back_is_waited_for,
    what_will_not_mend_is_told_at_once,
}
