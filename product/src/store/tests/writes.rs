//! One object at a time: creating, changing, ending.

use super::*;

promises!(
    a_write_takes_the_next_revision_and_one_that_changes_nothing_takes_none,
    concurrent_writes_get_revisions_without_gaps,
    the_same_create_again_answers_the_stored_object_and_another_is_refused,
    an_update_needs_the_version_that_was_read,
    what_is_retired_stays_retired_and_retiring_again_is_fine,
);

async fn a_write_takes_the_next_revision_and_one_that_changes_nothing_takes_none(store: &Store) {
    assert_eq!(store.head().await.unwrap().revision, Revision::ZERO);
    let milk = product("milk");
    assert_eq!(create(store, &milk).await, Revision::new(1));
    assert_eq!(create(store, &milk).await, Revision::new(1));
    assert_eq!(
        store.write(Intent::Put(milk.clone()), Author::default()).await.unwrap().head.revision,
        Revision::new(1)
    );
    let renamed = Product { name: Name::parse("whole milk").unwrap(), ..milk };
    let saved = store.write(Intent::Put(renamed), Author::default()).await.unwrap();
    assert_eq!((saved.head.revision, saved.object.version), (Revision::new(2), 2));
    assert_eq!(store.head().await.unwrap(), saved.head);
}

async fn concurrent_writes_get_revisions_without_gaps(store: &Store) {
    let writes = (0..20).map(|n| {
        let store = store.clone();
        tokio::spawn(async move { create(&store, &product(&format!("product {n}"))).await })
    });
    let mut revisions = Vec::new();
    for write in writes.collect::<Vec<_>>() {
        revisions.push(write.await.unwrap().number());
    }
    revisions.sort_unstable();
    assert_eq!(revisions, (1..=20).collect::<Vec<_>>());
}

async fn the_same_create_again_answers_the_stored_object_and_another_is_refused(store: &Store) {
    let milk = product("milk");
    create(store, &milk).await;
    let again = store.write(Intent::Create(milk.clone()), Author::default()).await.unwrap();
    assert_eq!(again.object, milk);
    let other = Product { name: Name::parse("rock").unwrap(), ..milk.clone() };
    assert!(matches!(
        refusal(store, Intent::Create(other)).await,
        Refusal::Exists { kind: Kind::Product, .. }
    ));
    assert_eq!(now(store, milk.id).await, Some(milk));
}

async fn an_update_needs_the_version_that_was_read(store: &Store) {
    let milk = product("milk");
    create(store, &milk).await;
    let update = |version| Intent::Update {
        id: milk.id,
        version,
        patch: Box::new(|milk: &Product| Ok(Product { state: State::Suspended, ..milk.clone() })),
    };
    let saved = store.write(update(1), Author::default()).await.unwrap().object;
    assert_eq!((saved.state, saved.version), (State::Suspended, 2));
    let stale = refusal(store, update(1)).await;
    assert_eq!(stale, Refusal::VersionMismatch { kind: Kind::Product, stored: 2, read: 1 });
    let unknown: Intent<Product> = Intent::End { id: product("other").id, version: None };
    assert!(matches!(refusal(store, unknown).await, Refusal::NotFound { .. }));
}

async fn what_is_retired_stays_retired_and_retiring_again_is_fine(store: &Store) {
    let milk = product("milk");
    create(store, &milk).await;
    let retire = |version| Intent::<Product>::End { id: milk.id, version };
    assert_eq!(
        refusal(store, retire(Some(7))).await,
        Refusal::VersionMismatch { kind: Kind::Product, stored: 1, read: 7 }
    );
    let retired = store.write(retire(Some(1)), Author::default()).await.unwrap();
    assert_eq!((retired.object.state, retired.object.version), (State::Retired, 2));
    assert_eq!(store.write(retire(Some(1)), Author::default()).await.unwrap(), retired);
    assert!(matches!(refusal(store, Intent::Put(milk.clone())).await, Refusal::Ended { .. }));
    assert!(matches!(refusal(store, Intent::Create(milk)).await, Refusal::Exists { .. }));
}
