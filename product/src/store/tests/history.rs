//! Who changed what, and what rules said before.

use chassis::clock::unix_micros;
use chassis::on_database;
use deliverability::Timestamp;
use sqlx::AssertSqlSafe;

use super::*;

promises!(
    every_version_of_a_rule_is_kept_with_its_author,
    products_and_locations_tell_who_made_them_what_they_are,
    an_import_is_somebodys_and_keeps_what_it_overwrites,
    what_changes_nothing_or_only_validates_is_nobodys,
    what_an_older_release_wrote_is_ascribed_to_nobody,
);

async fn put<T: Checked>(store: &Store, object: T, by: &str) -> T {
    store.write(Intent::Put(object), Author::named(by)).await.unwrap().object
}

async fn at(store: &Store, id: RuleId, version: u32) -> (Rule, Option<String>) {
    let known = store.rule_at(id, version).await.unwrap().unwrap();
    (known.object, known.written.unwrap().by)
}

fn noted(rule: &Rule, note: &str) -> Rule {
    Rule { note: Note::parse(note).unwrap(), ..rule.clone() }
}

async fn every_version_of_a_rule_is_kept_with_its_author(store: &Store) {
    let began = Timestamp::from_unix_micros(unix_micros()).unwrap();
    let milk = product("milk");
    create(store, &milk).await;
    let first = rule(ProductSelector::Product(milk.id), zone(0));
    let first = put(store, first, "ann").await;
    let changed = Rule { effect: RuleEffect::Deny, limits: Limits::default(), ..noted(&first, "recalled") };
    let second = put(store, changed, "bob").await;
    let end = Intent::<Rule>::End { id: first.id, version: Some(2) };
    let deleted = store.write(end, Author::default()).await.unwrap().object;

    assert_eq!(at(store, first.id, 1).await, (first.clone(), Some("ann".to_owned())));
    assert_eq!(at(store, first.id, 2).await, (second, Some("bob".to_owned())));
    assert_eq!(at(store, first.id, 3).await, (deleted.clone(), None));
    assert_eq!(store.rule_at(first.id, 4).await.unwrap(), None);
    let now = store.get::<Rule>(first.id).await.unwrap().unwrap();
    assert_eq!(now, store.rule_at(first.id, 3).await.unwrap().unwrap());
    let mut times = vec![began];
    for version in 1..=3 {
        times.push(store.rule_at(first.id, version).await.unwrap().unwrap().written.unwrap().at);
    }
    assert!(times.is_sorted(), "{times:?}");
}

async fn products_and_locations_tell_who_made_them_what_they_are(store: &Store) {
    let milk = put(store, product("milk"), "ann").await;
    let place = put(store, location(None), "ann").await;
    let renamed = Location { name: Name::parse("elsewhere").unwrap(), ..place };
    let renamed = put(store, renamed, "spiffe://shop/bob").await;
    let milk = store.get::<Product>(milk.id).await.unwrap().unwrap();
    assert_eq!(milk.written.unwrap().by.as_deref(), Some("ann"));
    let place = store.get::<Location>(renamed.id).await.unwrap().unwrap();
    assert_eq!(place.written.unwrap().by.as_deref(), Some("spiffe://shop/bob"));
}

async fn an_import_is_somebodys_and_keeps_what_it_overwrites(store: &Store) {
    let rules: Vec<_> = (0..1_200).map(|n| noted(&rule(ProductSelector::Any, zone(n)), "before")).collect();
    let rows = |note: &str| rules.iter().map(|rule| Change::Rule(noted(rule, note))).collect::<Vec<_>>();
    for (note, by) in [("before", "ann"), ("after", "bob"), ("after", "eve")] {
        store.import(rows(note), Draft::default(), false, Author::named(by)).await.unwrap();
    }
    for rule in [&rules[0], &rules[499], &rules[500], &rules[1_199]] {
        assert_eq!(at(store, rule.id, 1).await, (rule.clone(), Some("ann".to_owned())));
        let (after, by) = at(store, rule.id, 2).await;
        assert_eq!((after.note.as_str(), by.as_deref()), ("after", Some("bob")));
        assert_eq!(store.rule_at(rule.id, 3).await.unwrap(), None, "an equal row changes nothing");
    }
}

async fn what_changes_nothing_or_only_validates_is_nobodys(store: &Store) {
    let milk = put(store, product("milk"), "ann").await;
    put(store, milk.clone(), "bob").await;
    let renamed = Product { name: Name::parse("whole milk").unwrap(), ..milk.clone() };
    let rows = vec![Change::Product(renamed)];
    store.import(rows, Draft::default(), true, Author::named("eve")).await.unwrap();
    let known = store.get::<Product>(milk.id).await.unwrap().unwrap();
    assert_eq!((known.object, known.written.unwrap().by.as_deref()), (milk, Some("ann")));
}

async fn what_an_older_release_wrote_is_ascribed_to_nobody(store: &Store) {
    let first = put(store, rule(ProductSelector::Any, PlaceSelector::Any), "ann").await;
    // As the release before does it: it knows none of the new tables.
    let update = format!(
        "UPDATE rules SET note = 'older', version = 2, revision = 2 WHERE note = '{}'",
        first.note.as_str()
    );
    let mut transaction = store.database().write().await.unwrap();
    for sql in ["UPDATE catalogue_head SET revision = revision + 1".to_owned(), update] {
        on_database!(transaction.connection(), c => sqlx::query(AssertSqlSafe(sql)).execute(c).await.map(drop).unwrap());
    }
    transaction.commit().await.unwrap();
    let older = store.get::<Rule>(first.id).await.unwrap().unwrap();
    assert_eq!((older.object.note.as_str(), older.written), ("older", None));
    assert_eq!(store.rule_at(first.id, 1).await.unwrap(), None, "it was overwritten and not put aside");
    put(store, noted(&first, "newer"), "bob").await;
    let kept = store.rule_at(first.id, 2).await.unwrap().unwrap();
    assert_eq!((kept.object.note.as_str(), kept.written), ("older", None));
}

fn zone(number: usize) -> PlaceSelector {
    PlaceSelector::Zone(Tags::parse([format!("zone{number}")]).unwrap().iter().next().unwrap().clone())
}
