//! What the store promises, on either database: one suite, run on both.

use chassis::database::throwaway::Throwaway;
use deliverability::{
    Change, Code, Effect as RuleEffect, Limits, Location, LocationId, LocationKind, MAX_TREE_DEPTH, Name,
    Note, PlaceSelector, PostalMatcher, PostalRange, Postcode, Product, ProductId, ProductSelector, Rule,
    RuleId, State, Tags, Validity,
};
use uuid::Uuid;

use super::refusal::Conflict;
use super::*;
use crate::revision::Revision;

/// Makes one test for each database out of a promise.
macro_rules! promises {
    ($($promise:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $promise() {
                super::$promise(&super::open(&super::Throwaway::sqlite()).await).await;
            })+
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $promise() {
                if let Some(database) = super::Throwaway::postgres().await {
                    super::$promise(&super::open(&database).await).await;
                }
            })+
        }
    };
}

promises!(
    a_write_takes_the_next_revision_and_one_that_changes_nothing_takes_none,
    concurrent_writes_get_revisions_without_gaps,
    the_same_create_again_answers_the_stored_object_and_another_is_refused,
    an_update_needs_the_version_that_was_read,
    what_is_retired_stays_retired_and_retiring_again_is_fine,
    a_rule_names_only_what_exists_and_is_in_use,
    a_tree_has_no_cycles_and_is_not_too_deep,
    a_moved_subtree_must_fit_where_it_goes,
    a_code_belongs_to_one_location,
    siblings_share_no_postcodes,
    only_so_many_rules_share_their_selectors,
    an_import_stores_good_rows_and_names_bad_ones,
    the_same_import_again_changes_nothing,
    an_import_that_only_validates_stores_nothing_and_lets_later_chunks_refer_to_earlier_ones,
    the_feed_gives_each_object_once_in_revision_order_whatever_the_page_size,
    a_new_epoch_keeps_the_revision,
    a_listing_goes_on_where_it_stopped,
);

async fn open(database: &Throwaway) -> Store {
    let database = chassis::database::Database::connect(&database.url(), 5).await.unwrap();
    database.migrate(&migrations()).await.unwrap();
    database.check_schema(&migrations()).await.unwrap();
    Store::open(database).await.unwrap()
}

fn product(name: &str) -> Product {
    Product {
        id: ProductId::from_uuid(Uuid::now_v7()).unwrap(),
        name: Name::parse(name).unwrap(),
        classes: Tags::parse(["perishable", "fragile"]).unwrap(),
        weight: None,
        size: None,
        state: State::Active,
        version: 1,
    }
}

fn location(parent: Option<LocationId>) -> Location {
    Location {
        id: LocationId::from_uuid(Uuid::now_v7()).unwrap(),
        parent,
        kind: LocationKind::Region,
        code: None,
        name: Name::parse("somewhere").unwrap(),
        zones: Tags::parse(["eu"]).unwrap(),
        postal: None,
        state: State::Active,
        version: 1,
    }
}

fn rule(product: ProductSelector, place: PlaceSelector) -> Rule {
    Rule {
        id: RuleId::from_uuid(Uuid::now_v7()).unwrap(),
        effect: RuleEffect::Allow,
        product,
        place,
        limits: Limits::new(Some(5_000), None, Some(3)).unwrap(),
        validity: Validity::default(),
        note: Note::parse("because").unwrap(),
        version: 1,
        deleted: false,
    }
}

fn prefix(text: &str) -> Option<PostalMatcher> {
    Some(PostalMatcher::Prefix(Postcode::parse(text).unwrap()))
}

fn range(first: &str, last: &str) -> Option<PostalMatcher> {
    Some(PostalMatcher::Range(PostalRange::parse(first, last).unwrap()))
}

async fn create<T: Checked>(store: &Store, object: &T) -> Revision {
    store.write(Intent::Create(object.clone())).await.unwrap().head.revision
}

async fn refusal<T: Checked + std::fmt::Debug>(store: &Store, intent: Intent<T>) -> Refusal {
    match store.write(intent).await {
        Err(WriteError::Refused(refusal)) => refusal,
        other => panic!("refused, not {other:?}"),
    }
}

async fn conflict<T: Checked + std::fmt::Debug>(store: &Store, object: T) -> Conflict {
    match refusal(store, Intent::Put(object)).await {
        Refusal::Conflict { conflict, .. } => conflict,
        other => panic!("a conflict, not {other:?}"),
    }
}

async fn import(store: &Store, rows: Vec<Change>) -> super::write::Imported {
    store.import(rows, Draft::default(), false).await.unwrap()
}

async fn a_write_takes_the_next_revision_and_one_that_changes_nothing_takes_none(store: &Store) {
    assert_eq!(store.head().await.unwrap().revision, Revision::ZERO);
    let milk = product("milk");
    assert_eq!(create(store, &milk).await, Revision::new(1));
    assert_eq!(create(store, &milk).await, Revision::new(1));
    assert_eq!(store.write(Intent::Put(milk.clone())).await.unwrap().head.revision, Revision::new(1));
    let renamed = Product { name: Name::parse("whole milk").unwrap(), ..milk };
    let saved = store.write(Intent::Put(renamed)).await.unwrap();
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
    let again = store.write(Intent::Create(milk.clone())).await.unwrap();
    assert_eq!(again.object, milk);
    let other = Product { name: Name::parse("rock").unwrap(), ..milk.clone() };
    assert!(matches!(
        refusal(store, Intent::Create(other)).await,
        Refusal::Exists { kind: Kind::Product, .. }
    ));
    assert_eq!(store.get::<Product>(milk.id).await.unwrap(), Some(milk));
}

async fn an_update_needs_the_version_that_was_read(store: &Store) {
    let milk = product("milk");
    create(store, &milk).await;
    let update = |version| Intent::Update {
        id: milk.id,
        version,
        patch: Box::new(|milk: &Product| Ok(Product { state: State::Suspended, ..milk.clone() })),
    };
    let saved = store.write(update(1)).await.unwrap().object;
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
    let retired = store.write(retire(Some(1))).await.unwrap();
    assert_eq!((retired.object.state, retired.object.version), (State::Retired, 2));
    assert_eq!(store.write(retire(Some(1))).await.unwrap(), retired);
    assert!(matches!(refusal(store, Intent::Put(milk.clone())).await, Refusal::Ended { .. }));
    assert!(matches!(refusal(store, Intent::Create(milk)).await, Refusal::Exists { .. }));
}

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
    store.write(Intent::<Product>::End { id: milk.id, version: None }).await.unwrap();
    assert_eq!(conflict(store, about_milk()).await, Conflict::Reference);
    let deleted = store.write(Intent::<Rule>::End { id: fine.id, version: None }).await.unwrap().object;
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
    store.write(Intent::Put(fits)).await.unwrap();

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
    store.write(Intent::<Location>::End { id: netherlands.id, version: None }).await.unwrap();
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
    let elsewhere = Location { postal: range("1000", "1099"), ..location(None) };
    create(store, &elsewhere).await;
    let within_one_chunk = [area(prefix("77")), area(prefix("778"))].map(Change::Location);
    let results = import(store, within_one_chunk.to_vec()).await.results;
    assert!(results[0].is_ok() && results[1].is_err(), "{results:?}");
    store.write(Intent::<Location>::End { id: first.id, version: None }).await.unwrap();
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

async fn the_feed_gives_each_object_once_in_revision_order_whatever_the_page_size(store: &Store) {
    let world = location(None);
    create(store, &world).await;
    let rows: Vec<_> = (0..25).map(|n| Change::Product(product(&format!("product {n}")))).collect();
    import(store, rows.clone()).await;
    for _ in 0..3 {
        create(store, &rule(ProductSelector::Any, PlaceSelector::Location(world.id))).await;
    }
    // It moves up: it comes once, as it is now.
    store.write(Intent::Put(Location { name: Name::parse("world").unwrap(), ..world })).await.unwrap();
    for limit in [1, 2, 7, 29, 1_000] {
        let (mut cursor, mut seen) = (Cursor::after(Revision::ZERO), Vec::new());
        loop {
            let page = store.feed(cursor, limit).await.unwrap();
            assert!(page.changes.len() <= usize::try_from(limit).unwrap());
            seen.extend(page.changes.iter().map(|(cursor, _)| *cursor));
            if page.complete {
                assert_eq!(page.head.revision, Revision::new(6));
                break;
            }
            cursor = page.changes.last().unwrap().0;
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
