//! Many objects at a time.

use super::*;

promises!(
    an_import_stores_good_rows_and_names_bad_ones,
    the_same_import_again_changes_nothing,
    an_import_that_only_validates_stores_nothing_and_lets_later_chunks_refer_to_earlier_ones,
    what_one_chunk_would_free_a_later_one_may_claim,
    a_tombstone_names_only_what_exists_and_makes_no_cycle,
    a_tombstone_stays_as_it_is,
    an_id_that_comes_twice_in_a_chunk_is_stored_below_its_last_parent,
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
    let checked = store.import(first, Draft::default(), true, Author::default()).await.unwrap();
    assert_eq!(checked.results, [Ok(Effect::Created), Ok(Effect::Created)]);
    let second = vec![
        Change::Location(location(Some(world.id))),
        Change::Rule(rule(ProductSelector::Product(milk.id), PlaceSelector::Location(world.id))),
    ];
    let checked = store.import(second, checked.draft, true, Author::default()).await.unwrap();
    assert_eq!(checked.results, [Ok(Effect::Created), Ok(Effect::Created)]);
    assert_eq!(store.head().await.unwrap().revision, Revision::ZERO);
    assert_eq!(now::<Product>(store, milk.id).await, None);
}

async fn what_one_chunk_would_free_a_later_one_may_claim(store: &Store) {
    let (here, there) = (location(None), location(None));
    let area = |postal: Option<_>, parent: &Location| Location { postal, ..location(Some(parent.id)) };
    let (holder, world_wide) =
        (area(prefix("10"), &here), rule(ProductSelector::Any, PlaceSelector::Location(here.id)));
    let mut stored = [&here, &there, &holder].map(|location| Change::Location(location.clone())).to_vec();
    stored
        .extend((0..999).map(|_| Change::Rule(rule(ProductSelector::Any, PlaceSelector::Location(here.id)))));
    stored.push(Change::Rule(world_wide.clone()));
    assert!(import(store, stored).await.results.iter().all(Result::is_ok));

    let frees = vec![
        Change::Location(Location { parent: Some(there.id), postal: None, ..holder.clone() }),
        Change::Rule(Rule { place: PlaceSelector::Any, ..world_wide }),
    ];
    let claims = vec![
        Change::Location(area(prefix("101"), &here)),
        Change::Rule(rule(ProductSelector::Any, PlaceSelector::Location(here.id))),
    ];
    let freed = store.import(frees, Draft::default(), true, Author::default()).await.unwrap();
    assert_eq!(freed.results, [Ok(Effect::Updated), Ok(Effect::Updated)]);
    let claimed = store.import(claims, freed.draft, true, Author::default()).await.unwrap();
    assert_eq!(claimed.results, [Ok(Effect::Created), Ok(Effect::Created)]);
}

async fn a_tombstone_names_only_what_exists_and_makes_no_cycle(store: &Store) {
    let (top, unknown, milk) = (location(None), location(None), product("milk"));
    let below = location(Some(top.id));
    let retired = |location: Location, parent| Location { state: State::Retired, parent, ..location };
    let deleted = Rule { deleted: true, ..rule(ProductSelector::Product(milk.id), PlaceSelector::Any) };
    let itself = location(None);
    let rows = vec![
        Change::Location(top.clone()),
        Change::Location(below.clone()),
        Change::Location(retired(location(None), Some(unknown.id))),
        Change::Location(retired(itself.clone(), Some(itself.id))),
        Change::Location(retired(top, Some(below.id))),
        Change::Rule(deleted),
    ];
    let results = import(store, rows).await.results;
    let conflicts: Vec<_> = results
        .iter()
        .map(|result| match result {
            Err(Refusal::Conflict { conflict, .. }) => Some(*conflict),
            _ => None,
        })
        .collect();
    let (reference, cycle) = (Some(Conflict::Reference), Some(Conflict::Cycle));
    assert_eq!(conflicts, [None, None, reference, cycle, cycle, reference]);
}

async fn a_tombstone_stays_as_it_is(store: &Store) {
    let gone = Product { state: State::Retired, ..product("gone") };
    let renamed = Product { name: Name::parse("other").unwrap(), ..gone.clone() };
    let rows = vec![Change::Product(gone.clone()), Change::Product(renamed), Change::Product(gone.clone())];
    let results = import(store, rows).await.results;
    assert_eq!((&results[0], &results[2]), (&Ok(Effect::Created), &Ok(Effect::Unchanged)));
    assert!(matches!(results[1], Err(Refusal::Ended { .. })), "{:?}", results[1]);
    assert_eq!(now(store, gone.id).await, Some(gone));
}

async fn an_id_that_comes_twice_in_a_chunk_is_stored_below_its_last_parent(store: &Store) {
    let (moved, parent) = (location(None), location(None));
    let mut rows = vec![Change::Location(moved.clone())];
    // More than one statement writes lie between the two.
    rows.extend((0..600).map(|_| Change::Location(location(None))));
    rows.push(Change::Location(parent.clone()));
    let moved = Location { parent: Some(parent.id), ..moved };
    rows.push(Change::Location(moved.clone()));
    assert!(import(store, rows).await.results.iter().all(Result::is_ok));
    assert_eq!(now::<Location>(store, moved.id).await.unwrap().parent, Some(parent.id));
}
