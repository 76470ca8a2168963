use super::*;

const LONG_LEASE: Duration = Duration::from_secs(100);

fn member(id: &str, layer: MemberLayer) -> NewMember {
    let address = "http://127.0.0.1:4000".to_owned();
    let flight = (layer == MemberLayer::Speed).then(|| "127.0.0.1:4001".to_owned());
    NewMember { id: id.to_owned(), layer, address, flight }
}

fn owned(partitions: &[i32]) -> TopicPartitions {
    [(TOPIC.to_owned(), partitions.iter().copied().collect())].into()
}

async fn ids(catalog: &Catalog, layer: MemberLayer) -> Vec<String> {
    catalog.members(layer).await.unwrap().into_iter().map(|member| member.id).collect()
}

async fn members_of_a_layer_find_one_another(place: Place) {
    let (catalog, other) = (place.open().await, place.open().await);
    let speed = member("s1", MemberLayer::Speed);
    catalog.join(&speed, LONG_LEASE).await.unwrap();
    catalog.join(&speed, LONG_LEASE).await.unwrap();
    other.join(&member("s2", MemberLayer::Speed), LONG_LEASE).await.unwrap();
    other.join(&member("b1", MemberLayer::Batch), LONG_LEASE).await.unwrap();
    let found = other.members(MemberLayer::Speed).await.unwrap().remove(0);
    assert_eq!((found.id, found.address, found.flight), (speed.id, speed.address, speed.flight));
    assert_eq!(found.lease_until_ms, found.joined_ms + 100_000);
    assert_eq!(ids(&catalog, MemberLayer::Speed).await, ["s1", "s2"]);
    assert_eq!(ids(&catalog, MemberLayer::Serve).await, [""; 0]);
    other.leave("s2").await.unwrap();
    other.leave("s2").await.unwrap();
    assert_eq!(ids(&catalog, MemberLayer::Speed).await, ["s1"]);
}

async fn a_member_without_a_sign_of_life_is_no_longer_listed_and_told_so(place: Place) {
    let (catalog, other) = (place.open().await, place.open().await);
    let zombie = member("zombie", MemberLayer::Speed);
    catalog.join(&zombie, LONG_LEASE).await.unwrap();
    catalog.renew_member("zombie", &owned(&[0]), LONG_LEASE).await.unwrap();
    assert_eq!(ids(&other, MemberLayer::Speed).await, ["zombie"]);
    expire(&other, "members").await;
    assert_eq!(ids(&other, MemberLayer::Speed).await, [""; 0]);
    let lost = catalog.renew_member("zombie", &owned(&[0]), LONG_LEASE).await.unwrap_err();
    assert!(matches!(&lost, CatalogError::MemberLost { id } if id == "zombie"), "{lost}");

    other.join(&member("next", MemberLayer::Speed), LONG_LEASE).await.unwrap();
    let lost = catalog.renew_member("zombie", &owned(&[0]), LONG_LEASE).await.unwrap_err();
    assert!(matches!(lost, CatalogError::MemberLost { .. }), "{lost}");
    catalog.join(&zombie, LONG_LEASE).await.unwrap();
    assert_eq!(ids(&other, MemberLayer::Speed).await, ["next", "zombie"]);
}

async fn who_has_what_is_told_and_plain_signs_of_life_are_not(place: Place) {
    let catalog = place.open().await;
    catalog.join(&member("s1", MemberLayer::Speed), LONG_LEASE).await.unwrap();
    catalog.renew_member("s1", &owned(&[0, 2]), LONG_LEASE).await.unwrap();
    let changes = catalog.changes();
    catalog.renew_member("s1", &owned(&[0, 2]), LONG_LEASE).await.unwrap();
    assert!(!changes.has_changed().unwrap());
    catalog.renew_member("s1", &owned(&[2]), LONG_LEASE).await.unwrap();
    assert!(changes.has_changed().unwrap());
    assert_eq!(catalog.members(MemberLayer::Speed).await.unwrap()[0].owned, owned(&[2]));
}

on_each_database! {
    members_of_a_layer_find_one_another,
    a_member_without_a_sign_of_life_is_no_longer_listed_and_told_so,
    who_has_what_is_told_and_plain_signs_of_life_are_not,
}
