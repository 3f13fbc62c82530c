//! An import that was killed half-way holds whole chunks, and the same import run again makes it complete.

use std::collections::HashSet;

use proto::product::v1 as wire;
use proto::product::v1::change::Object;
use tonic::Streaming;

use crate::support::databases::{Throwaway, on_both};
use crate::support::long_import::{CHUNK_ROWS, CHUNKS, chunks, samples};
use crate::support::process::Service;
use crate::support::{clients, questions, services};

/// Chunks that are acknowledged before Product is killed.
const ACKNOWLEDGED: usize = 3;

on_both!(an_import_killed_half_way_and_run_again_is_complete);

async fn an_import_killed_half_way_and_run_again_is_complete(database: &impl AsyncFn() -> Throwaway) {
    let database = database().await;
    let product = services::product(&database).await;

    // The client sends on while chunks are committed; the kill comes in the middle of one.
    let mut answers = import(&product).await;
    for _ in 0..ACKNOWLEDGED {
        answers.message().await.expect("an answer").expect("one for each chunk");
    }
    product.kill();

    let product = services::product(&database).await;
    let stored = stored_objects(&product).await;
    assert_eq!(stored % CHUNK_ROWS, 0, "a chunk is stored as a whole or not at all");
    assert!((ACKNOWLEDGED * CHUNK_ROWS..CHUNKS * CHUNK_ROWS).contains(&stored), "{stored} were stored");

    let again = totals(import(&product).await).await;
    assert_eq!(again.unchanged, stored, "what was stored is as it was sent");
    assert_eq!(again.created + again.unchanged, CHUNKS * CHUNK_ROWS);
    assert_eq!(stored_objects(&product).await, CHUNKS * CHUNK_ROWS);
    for sample in samples() {
        let decision =
            questions::decide(&product, &sample.product_id, &sample.location_id, Some(&again.revision)).await;
        let decision = decision.expect("a decision");
        let deciding: Vec<_> = decision.deciding_rules.iter().map(|rule| &rule.rule_id).collect();
        assert_eq!(deciding, sample.allowed_by.iter().collect::<Vec<_>>(), "{sample:?}");
        let reason = if sample.allowed_by.is_some() { wire::Reason::Allowed } else { wire::Reason::NoRule };
        assert_eq!(decision.reason(), reason, "{sample:?}");
    }

    let third = totals(import(&product).await).await;
    assert_eq!(third, Totals { created: 0, unchanged: CHUNKS * CHUNK_ROWS, revision: again.revision });
}

/// What became of an import's rows, none of which was bad or changed what was there.
#[derive(Debug, Default, PartialEq, Eq)]
struct Totals {
    created: usize,
    unchanged: usize,
    /// Of the last chunk.
    revision: String,
}

async fn import(product: &Service) -> Streaming<wire::ImportCatalogueResponse> {
    let rows = tokio_stream::iter(chunks());
    clients::catalogue(product).import_catalogue(rows).await.expect("an import starts").into_inner()
}

async fn totals(mut answers: Streaming<wire::ImportCatalogueResponse>) -> Totals {
    let mut totals = Totals::default();
    let mut chunks = 0;
    while let Some(answer) = answers.message().await.expect("an answer") {
        assert_eq!((answer.updated, &answer.errors[..]), (0, &[][..]));
        assert_eq!(answer.first_row, u64::try_from(chunks * CHUNK_ROWS + 1).expect("small"));
        totals.created += usize::try_from(answer.created).expect("small");
        totals.unchanged += usize::try_from(answer.unchanged).expect("small");
        totals.revision = answer.revision;
        chunks += 1;
    }
    assert_eq!(chunks, CHUNKS, "one answer for each chunk");
    totals
}

/// How many objects the feed holds up to its first checkpoint, each of them once.
async fn stored_objects(product: &Service) -> usize {
    let everything = wire::WatchChangesRequest { after_revision: None };
    let mut client = clients::product(product);
    let mut messages = client.watch_changes(everything).await.expect("a watch starts").into_inner();
    let mut ids = HashSet::new();
    loop {
        let message = messages.message().await.expect("the feed goes on").expect("it does not end");
        for change in message.changes {
            let id = match change.object.expect("always present") {
                Object::Product(product) => product.product_id,
                Object::Location(location) => location.location_id,
                Object::Rule(rule) => rule.rule_id,
            };
            assert!(ids.insert(id), "an object that nobody changes comes once");
        }
        if message.checkpoint.is_some() {
            return ids.len();
        }
    }
}
