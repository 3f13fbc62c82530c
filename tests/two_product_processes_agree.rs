//! Several Product processes on one PostgreSQL are one Product: what one writes the others know within a second, and all of
//! them tell the same history.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use proto::product::v1 as wire;
use tokio::task::JoinSet;
use tonic::{Code, Streaming};
use wire::{Reason, State};

use crate::support::catalogue::{id, open_shop};
use crate::support::databases::{Throwaway, on_postgres};
use crate::support::process::Service;
use crate::support::refusal::Refusal;
use crate::support::{clients, eventually, questions, services};

on_postgres!(two_product_processes_agree);

/// What is promised is a second; a busy machine may take some more.
const GENEROUS: Duration = Duration::from_secs(5);
const WRITES_EACH: usize = 20;

async fn two_product_processes_agree(database: &impl AsyncFn() -> Throwaway) {
    let database = database().await;
    let (first, second) = (services::product(&database).await, services::product(&database).await);
    let shop = open_shop(&first).await;
    until_at(&second, &shop.revision).await;

    a_write_through_one_is_seen_by_the_other(&first, &second, &shop.rock, 1).await;
    a_write_through_one_is_seen_by_the_other(&second, &first, &shop.rock, 2).await;
    of_two_updates_of_one_version_one_is_made(&first, &second, &shop.rock, 3).await;

    let mut live = watch(&second).await;
    up_to_a_checkpoint(&mut live).await;
    let tokens = write_through_both_at_once(&first, &second).await;
    assert_eq!(tokens.len(), 2 * WRITES_EACH, "each write has a revision of its own");
    let revision = until_the_same(&first, &second).await;
    assert!(tokens.contains(&revision), "the newest revision is one of the writes'");

    let (history, checkpoint) = up_to_a_checkpoint(&mut watch(&first).await).await;
    assert_eq!(up_to_a_checkpoint(&mut watch(&second).await).await, (history.clone(), checkpoint.clone()));
    assert_eq!(checkpoint, revision);
    let revisions: HashSet<_> = history.iter().map(|change| change.revision.clone()).collect();
    assert!(tokens.is_subset(&revisions), "no write is missing from the history");
    let mut seen_live = HashSet::new();
    while seen_live.len() < tokens.len() {
        seen_live.extend(up_to_a_checkpoint(&mut live).await.0.into_iter().map(|change| change.revision));
    }
    assert_eq!(seen_live, tokens, "who watched saw each write, whichever process made it");
}

async fn a_write_through_one_is_seen_by_the_other(
    one: &Service,
    other: &Service,
    product_id: &str,
    version: u32,
) {
    let state = if version % 2 == 1 { State::Suspended } else { State::Active };
    let token = questions::set_state(one, product_id, version, state).await.expect("the product changes");
    let written = Instant::now();
    until_at(other, &token).await;
    let took = written.elapsed();
    println!("a write was seen by the other process after {took:?}");
    assert!(took < GENEROUS, "{took:?}");
    let decision = questions::decide(other, product_id, &id(), None).await.expect("a decision");
    assert_eq!(decision.reason() == Reason::ProductSuspended, state == State::Suspended);
}

async fn of_two_updates_of_one_version_one_is_made(
    one: &Service,
    other: &Service,
    product_id: &str,
    version: u32,
) {
    let (one, other) = tokio::join!(
        questions::set_state(one, product_id, version, State::Suspended),
        questions::set_state(other, product_id, version, State::Suspended),
    );
    let loss = match (one, other) {
        (Ok(_), Err(loss)) | (Err(loss), Ok(_)) => loss,
        both => panic!("one of two is made: {both:?}"),
    };
    let newer = (version + 1).to_string();
    let mismatch = Refusal::new(Code::Aborted, "VERSION_MISMATCH").metadata("version", &newer);
    assert_eq!(Refusal::of(&loss), mismatch);
}

async fn write_through_both_at_once(first: &Service, second: &Service) -> HashSet<String> {
    let mut writes = JoinSet::new();
    for number in 0..2 * WRITES_EACH {
        let mut client = clients::catalogue(if number % 2 == 0 { first } else { second });
        writes.spawn(async move {
            let product = crate::support::catalogue::product(&id(), &format!("product {number}"), &[]);
            let created = client.create_product(wire::CreateProductRequest { product: Some(product) }).await;
            created.expect("it is stored").into_inner().revision
        });
    }
    writes.join_all().await.into_iter().collect()
}

async fn until_at(service: &Service, token: &str) {
    eventually("the process follows", async || match questions::revision(service).await {
        Ok(revision) if revision == token => Ok(()),
        other => Err(other),
    })
    .await;
}

async fn until_the_same(first: &Service, second: &Service) -> String {
    eventually("both end at the same revision", async || {
        let revisions = (questions::revision(first).await, questions::revision(second).await);
        match revisions {
            (Ok(one), Ok(other)) if one == other => Ok(one),
            different => Err(different),
        }
    })
    .await
}

async fn watch(service: &Service) -> Streaming<wire::WatchChangesResponse> {
    let everything = wire::WatchChangesRequest::default();
    clients::product(service).watch_changes(everything).await.expect("the stream starts").into_inner()
}

/// What a stream sends up to its next checkpoint, and that checkpoint's token.
async fn up_to_a_checkpoint(
    stream: &mut Streaming<wire::WatchChangesResponse>,
) -> (Vec<wire::Change>, String) {
    let mut changes: Vec<wire::Change> = Vec::new();
    loop {
        let message = stream.message().await.expect("the stream goes on").expect("the stream does not end");
        assert!(message.changes.iter().all(|change| change.object.is_some()), "{message:?}");
        changes.extend(message.changes);
        if let Some(checkpoint) = message.checkpoint {
            return (changes, checkpoint.revision);
        }
    }
}
