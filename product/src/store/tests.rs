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

mod fitting;
mod history;
mod imports;
mod reading;
mod writes;

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
    store.write(Intent::Create(object.clone()), Author::default()).await.unwrap().head.revision
}

async fn now<T: Checked>(store: &Store, id: T::Id) -> Option<T> {
    store.get(id).await.unwrap().map(|known| known.object)
}

async fn refusal<T: Checked + std::fmt::Debug>(store: &Store, intent: Intent<T>) -> Refusal {
    match store.write(intent, Author::default()).await {
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
    store.import(rows, Draft::default(), false, Author::default()).await.unwrap()
}
