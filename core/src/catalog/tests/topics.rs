//! Topics are recognised by what they were first.

use super::*;

async fn a_topic_stays_the_one_it_was_first(place: Place) {
    let (catalog, other) = (place.open().await, place.open().await);
    catalog.recognise_topic("clicks", "a").await.unwrap();
    other.recognise_topic("clicks", "a").await.unwrap();
    other.recognise_topic("orders", "b").await.unwrap();
    let refused = other.recognise_topic("clicks", "b").await.unwrap_err();
    match &refused {
        CatalogError::OtherTopic { topic, was, is, since } => {
            assert_eq!((topic.as_str(), was.as_str(), is.as_str()), ("clicks", "a", "b"));
            assert!(since.starts_with("20") && since.ends_with(" UTC"), "{since}");
        }
        other => panic!("{other}"),
    }
    assert!(!refused.is_transient());
    drop((catalog, other));
    place.open().await.recognise_topic("clicks", "a").await.unwrap();
}

async fn of_two_that_are_first_at_once_one_is_right(place: Place) {
    let catalogs = [place.open().await, place.open().await];
    for round in 0..20 {
        let topic = format!("t{round}");
        let both = ["a", "b"].map(|identity| catalogs[usize::from(identity == "b")].recognise_topic(&topic, identity));
        let both = futures::future::join_all(both).await;
        assert_eq!(both.iter().filter(|result| result.is_ok()).count(), 1, "{both:?}");
    }
}

on_each_database! {
    a_topic_stays_the_one_it_was_first,
    of_two_that_are_first_at_once_one_is_right,
}
