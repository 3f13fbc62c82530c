//! Following the catalogue, and looking through it.

use super::*;

promises!(
    the_feed_gives_each_object_once_in_revision_order_whatever_the_page_size,
    a_new_epoch_keeps_the_revision,
    a_listing_goes_on_where_it_stopped,
);

async fn the_feed_gives_each_object_once_in_revision_order_whatever_the_page_size(store: &Store) {
    let world = location(None);
    create(store, &world).await;
    let rows: Vec<_> = (0..25).map(|n| Change::Product(product(&format!("product {n}")))).collect();
    import(store, rows.clone()).await;
    for _ in 0..3 {
        create(store, &rule(ProductSelector::Any, PlaceSelector::Location(world.id))).await;
    }
    // It moves up: it comes once, as it is now.
    store
        .write(Intent::Put(Location { name: Name::parse("world").unwrap(), ..world }), Author::default())
        .await
        .unwrap();
    for limit in [1, 2, 7, 29, 1_000] {
        let (mut cursor, mut seen) = (Cursor::after(Revision::ZERO), Vec::new());
        loop {
            let page = store.feed(cursor, limit).await.unwrap();
            assert!(page.changes.len() <= usize::try_from(limit).unwrap());
            seen.extend(page.changes.iter().map(|entry| entry.cursor));
            if page.complete {
                assert_eq!(page.head.revision, Revision::new(6));
                break;
            }
            cursor = page.changes.last().unwrap().cursor;
        }
        assert_eq!(seen.len(), 29, "pages of {limit}");
        assert!(seen.is_sorted());
    }
    let later = store.feed(Cursor::after(Revision::new(2)), 1_000).await.unwrap();
    assert_eq!(later.changes.len(), 4);
    assert!(store.feed(Cursor::after(Revision::new(6)), 10).await.unwrap().changes.is_empty());
}

async fn a_new_epoch_keeps_the_revision(store: &Store) {
    create(store, &product("milk")).await;
    let before = store.head().await.unwrap();
    let after = store.new_epoch().await.unwrap();
    assert_eq!(after.revision, before.revision);
    assert_ne!(after.epoch, before.epoch);
    assert_eq!(store.head().await.unwrap(), after);
}

async fn a_listing_goes_on_where_it_stopped(store: &Store) {
    let rows: Vec<_> = (0..7).map(|n| Change::Product(product(&format!("product {n}")))).collect();
    import(store, rows).await;
    let (mut after, mut seen) = (Uuid::nil(), Vec::new());
    loop {
        let page: Vec<Product> = store.list(Listing { after, limit: 3, parent: None }).await.unwrap();
        let Some(last) = page.last() else { break };
        after = last.id.as_uuid();
        seen.extend(page.into_iter().map(|product| product.id));
    }
    assert_eq!(seen.len(), 7);
    assert!(seen.is_sorted());
}
