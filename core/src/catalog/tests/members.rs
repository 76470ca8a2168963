use super::*;

fn member(id: &str, layer: MemberLayer, joined_ms: i64) -> Member {
    let owned = TopicPartitions::from([(TOPIC.to_owned(), [0, 2].into())]);
    let address = "http://127.0.0.1:4000".to_owned();
    let flight = (layer == MemberLayer::Speed).then(|| "127.0.0.1:4001".to_owned());
    Member { id: id.to_owned(), layer, address, flight, owned, joined_ms, lease_until_ms: joined_ms + 100 }
}

async fn ids(catalog: &Catalog, layer: MemberLayer, now_ms: i64) -> Vec<String> {
    catalog.members(layer, now_ms).await.unwrap().into_iter().map(|member| member.id).collect()
}

async fn members_of_a_layer_find_one_another(place: Place) {
    let (catalog, other) = (place.open().await, place.open().await);
    let speed = member("s1", MemberLayer::Speed, 1_000);
    catalog.join(&speed).await.unwrap();
    catalog.join(&speed).await.unwrap();
    other.join(&member("s2", MemberLayer::Speed, 1_010)).await.unwrap();
    other.join(&member("b1", MemberLayer::Batch, 1_010)).await.unwrap();
    assert_eq!(other.members(MemberLayer::Speed, 1_050).await.unwrap()[0], speed);
    assert_eq!(ids(&catalog, MemberLayer::Speed, 1_050).await, ["s1", "s2"]);
    assert_eq!(ids(&catalog, MemberLayer::Serve, 1_050).await, [""; 0]);
    other.leave("s2").await.unwrap();
    other.leave("s2").await.unwrap();
    assert_eq!(ids(&catalog, MemberLayer::Speed, 1_050).await, ["s1"]);
}

async fn a_member_without_a_sign_of_life_is_no_longer_listed_and_told_so(place: Place) {
    let (catalog, other) = (place.open().await, place.open().await);
    let zombie = member("zombie", MemberLayer::Speed, 1_000);
    catalog.join(&zombie).await.unwrap();
    catalog.renew_member("zombie", &zombie.owned, 1_099, 1_200).await.unwrap();
    assert_eq!(ids(&other, MemberLayer::Speed, 1_199).await, ["zombie"]);
    assert_eq!(ids(&other, MemberLayer::Speed, 1_200).await, [""; 0]);
    let lost = catalog.renew_member("zombie", &zombie.owned, 1_200, 1_300).await.unwrap_err();
    assert!(matches!(&lost, CatalogError::MemberLost { id } if id == "zombie"), "{lost}");

    other.join(&member("next", MemberLayer::Speed, 1_300)).await.unwrap();
    let lost = catalog.renew_member("zombie", &zombie.owned, 1_150, 1_400).await.unwrap_err();
    assert!(matches!(lost, CatalogError::MemberLost { .. }), "{lost}");
    catalog.join(&Member { joined_ms: 1_310, lease_until_ms: 1_400, ..zombie }).await.unwrap();
    assert_eq!(ids(&other, MemberLayer::Speed, 1_320).await, ["next", "zombie"]);
}

async fn who_has_what_is_told_and_plain_signs_of_life_are_not(place: Place) {
    let catalog = place.open().await;
    let speed = member("s1", MemberLayer::Speed, 1_000);
    catalog.join(&speed).await.unwrap();
    let changes = catalog.changes();
    catalog.renew_member("s1", &speed.owned, 1_010, 1_110).await.unwrap();
    assert!(!changes.has_changed().unwrap());
    let fewer = TopicPartitions::from([(TOPIC.to_owned(), [2].into())]);
    catalog.renew_member("s1", &fewer, 1_020, 1_120).await.unwrap();
    assert!(changes.has_changed().unwrap());
    let found = catalog.members(MemberLayer::Speed, 1_030).await.unwrap();
    assert_eq!(found, [Member { owned: fewer, lease_until_ms: 1_120, ..speed }]);
}

on_each_database! {
    members_of_a_layer_find_one_another,
    a_member_without_a_sign_of_life_is_no_longer_listed_and_told_so,
    who_has_what_is_told_and_plain_signs_of_life_are_not,
}
