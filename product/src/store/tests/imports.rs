//! Many objects at a time.

use super::*;

promises!(
    an_import_stores_good_rows_and_names_bad_ones,
    the_same_import_again_changes_nothing,
    an_import_that_only_validates_stores_nothing_and_lets_later_chunks_refer_to_earlier_ones,
);

async fn an_import_stores_good_rows_and_names_bad_ones(store: &Store) {
    let (milk, world) = (product("milk"), location(None));
    let rows = vec![
        Change::Location(world.clone()),
        Change::Rule(rule(ProductSelector::Product(milk.id), PlaceSelector::Any)),
        Change::Product(milk.clone()),
        Change::Rule(rule(ProductSelector::Product(milk.id), PlaceSelector::Location(world.id))),
    ];
    let imported = import(store, rows).await;
    assert_eq!(imported.results[0], Ok(Effect::Created));
    assert!(imported.results[1].is_err(), "a row refers only to rows before it");
    assert_eq!(imported.results[2..], [Ok(Effect::Created), Ok(Effect::Created)]);
    assert_eq!(imported.head.revision, Revision::new(1));
    let retired = Product { state: State::Retired, ..product("gone before it came") };
    assert_eq!(import(store, vec![Change::Product(retired)]).await.results, [Ok(Effect::Created)]);
}

async fn the_same_import_again_changes_nothing(store: &Store) {
    let world = location(None);
    let mut rows = vec![Change::Location(world.clone())];
    rows.extend((0..1_200).map(|n| Change::Product(product(&format!("product {n}")))));
    rows.extend((0..3).map(|_| Change::Rule(rule(ProductSelector::Any, PlaceSelector::Location(world.id)))));
    let first = import(store, rows.clone()).await;
    assert!(first.results.iter().all(|result| *result == Ok(Effect::Created)));
    let second = import(store, rows).await;
    assert!(second.results.iter().all(|result| *result == Ok(Effect::Unchanged)));
    assert_eq!(second.head, first.head);
}

async fn an_import_that_only_validates_stores_nothing_and_lets_later_chunks_refer_to_earlier_ones(
    store: &Store,
) {
    let (world, milk) = (location(None), product("milk"));
    let first = vec![Change::Location(world.clone()), Change::Product(milk.clone())];
    let checked = store.import(first, Draft::default(), true).await.unwrap();
    assert_eq!(checked.results, [Ok(Effect::Created), Ok(Effect::Created)]);
    let second = vec![
        Change::Location(location(Some(world.id))),
        Change::Rule(rule(ProductSelector::Product(milk.id), PlaceSelector::Location(world.id))),
    ];
    let checked = store.import(second, checked.draft, true).await.unwrap();
    assert_eq!(checked.results, [Ok(Effect::Created), Ok(Effect::Created)]);
    assert_eq!(store.head().await.unwrap().revision, Revision::ZERO);
    assert_eq!(store.get::<Product>(milk.id).await.unwrap(), None);
}
