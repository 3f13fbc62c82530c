//! What does not fit the catalogue is refused, and says why.

use super::*;

promises!(
    a_rule_names_only_what_exists_and_is_in_use,
    a_tree_has_no_cycles_and_is_not_too_deep,
    a_moved_subtree_must_fit_where_it_goes,
    a_code_belongs_to_one_location,
    siblings_share_no_postcodes,
    only_so_many_rules_share_their_selectors,
);

async fn a_rule_names_only_what_exists_and_is_in_use(store: &Store) {
    let (milk, world) = (product("milk"), location(None));
    let about_milk = || rule(ProductSelector::Product(milk.id), PlaceSelector::Any);
    assert_eq!(conflict(store, about_milk()).await, Conflict::Reference);
    assert_eq!(
        conflict(store, rule(ProductSelector::Any, PlaceSelector::Location(world.id))).await,
        Conflict::Reference
    );
    create(store, &milk).await;
    let fine = about_milk();
    create(store, &fine).await;
    store.write(Intent::<Product>::End { id: milk.id, version: None }, Author::default()).await.unwrap();
    assert_eq!(conflict(store, about_milk()).await, Conflict::Reference);
    let deleted = store
        .write(Intent::<Rule>::End { id: fine.id, version: None }, Author::default())
        .await
        .unwrap()
        .object;
    assert!(deleted.deleted);
}

async fn a_tree_has_no_cycles_and_is_not_too_deep(store: &Store) {
    let mut chain = vec![location(None)];
    while chain.len() < MAX_TREE_DEPTH {
        chain.push(location(chain.last().map(|above| above.id)));
    }
    for location in &chain {
        create(store, location).await;
    }
    assert_eq!(conflict(store, location(Some(chain[MAX_TREE_DEPTH - 1].id))).await, Conflict::Depth);
    let below_itself = Location { parent: Some(chain[5].id), ..chain[2].clone() };
    assert_eq!(conflict(store, below_itself).await, Conflict::Cycle);
    let its_own_parent = Location { parent: Some(chain[2].id), ..chain[2].clone() };
    assert_eq!(conflict(store, its_own_parent).await, Conflict::Cycle);
    assert_eq!(conflict(store, location(Some(location(None).id))).await, Conflict::Reference);
}

async fn a_moved_subtree_must_fit_where_it_goes(store: &Store) {
    let mut chain = vec![location(None)];
    while chain.len() < MAX_TREE_DEPTH - 2 {
        chain.push(location(chain.last().map(|above| above.id)));
    }
    let tree = [location(None), location(None), location(None)];
    let tree = [
        tree[0].clone(),
        Location { parent: Some(tree[0].id), ..tree[1].clone() },
        Location { parent: Some(tree[1].id), ..tree[2].clone() },
    ];
    let rows = chain.iter().chain(&tree).cloned().map(Change::Location).collect();
    assert!(import(store, rows).await.results.iter().all(Result::is_ok));
    let bottom = chain.last().unwrap().id;
    assert_eq!(conflict(store, Location { parent: Some(bottom), ..tree[0].clone() }).await, Conflict::Depth);
    let fits = Location { parent: Some(bottom), ..tree[1].clone() };
    store.write(Intent::Put(fits), Author::default()).await.unwrap();

    // The same within one chunk, before anything of it is stored.
    let (top, below) = (location(None), location(None));
    let below = Location { parent: Some(top.id), ..below };
    let rows = [top.clone(), below, Location { parent: Some(tree[2].id), ..top }];
    let results = import(store, rows.into_iter().map(Change::Location).collect()).await.results;
    assert!(results[0].is_ok() && results[1].is_ok());
    assert!(
        matches!(results[2], Err(Refusal::Conflict { conflict: Conflict::Depth, .. })),
        "{:?}",
        results[2]
    );
}

async fn a_code_belongs_to_one_location(store: &Store) {
    let named = |code: &str| Location { code: Some(Code::parse(code).unwrap()), ..location(None) };
    let netherlands = named("NL");
    create(store, &netherlands).await;
    assert_eq!(conflict(store, named("NL")).await, Conflict::Code);
    let renamed = Location { code: Some(Code::parse("NX").unwrap()), ..netherlands.clone() };
    let results = import(store, vec![Change::Location(renamed), Change::Location(named("NL"))]).await.results;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    store
        .write(Intent::<Location>::End { id: netherlands.id, version: None }, Author::default())
        .await
        .unwrap();
    create(store, &named("NX")).await;
}

async fn siblings_share_no_postcodes(store: &Store) {
    let land = location(None);
    create(store, &land).await;
    let area = |postal| Location { postal, ..location(Some(land.id)) };
    let first = area(range("1000", "1099"));
    create(store, &first).await;
    create(store, &area(prefix("12"))).await;
    for taken in [
        prefix("1"),
        prefix("105"),
        prefix("10501"),
        range("099", "101"),
        range("1099", "1100"),
        prefix("123"),
    ] {
        assert_eq!(conflict(store, area(taken.clone())).await, Conflict::Postal, "{taken:?}");
    }
    create(store, &area(range("1100", "1199"))).await;
    // Between "10" and "12" as texts, and in no range of digits.
    create(store, &area(prefix("11A"))).await;
    let elsewhere = Location { postal: range("1000", "1099"), ..location(None) };
    create(store, &elsewhere).await;
    let within_one_chunk = [area(prefix("77")), area(prefix("778"))].map(Change::Location);
    let results = import(store, within_one_chunk.to_vec()).await.results;
    assert!(results[0].is_ok() && results[1].is_err(), "{results:?}");
    store.write(Intent::<Location>::End { id: first.id, version: None }, Author::default()).await.unwrap();
    create(store, &area(prefix("10"))).await;
}

async fn only_so_many_rules_share_their_selectors(store: &Store) {
    let rows: Vec<_> =
        (0..1_001).map(|_| Change::Rule(rule(ProductSelector::Any, PlaceSelector::Any))).collect();
    let results = import(store, rows).await.results;
    assert!(results[..1_000].iter().all(Result::is_ok));
    assert!(matches!(results[1_000], Err(Refusal::Conflict { conflict: Conflict::RuleCount, .. })));
    assert_eq!(conflict(store, rule(ProductSelector::Any, PlaceSelector::Any)).await, Conflict::RuleCount);
}
