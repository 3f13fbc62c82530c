//! Finding deliveries, newest first, page by page.

use delivery::domain::{Delivery, DeliveryId, ExternalReference, Order, State, Transition};
use delivery::store::{Cursor, Filter, MAX_SCANNED_ROWS, Store};

use crate::databases::on_each_database;
use crate::samples::{at, confirmed, in_time, location, order, product, stored};

/// All pages of a listing, each as ids.
async fn pages(store: &Store, filter: &Filter, page_size: u32) -> Vec<Vec<DeliveryId>> {
    let (mut pages, mut after) = (Vec::new(), Some(Cursor::START));
    while let Some(cursor) = after {
        let page = store.list(filter.clone(), cursor, page_size).await.unwrap();
        assert!(page.deliveries.len() <= page_size as usize);
        pages.push(page.deliveries.into_iter().map(|delivery| delivery.id).collect());
        after = page.next;
    }
    pages
}

fn reference(text: &str) -> Option<ExternalReference> {
    Some(ExternalReference::parse(text).unwrap())
}

/// 24 deliveries that differ in all that can be filtered by, several of them stored at the same instant.
async fn store_some(store: &Store) -> Vec<Delivery> {
    let mut all = Vec::new();
    for number in 0..24_u32 {
        let external_reference =
            if number % 5 == 0 { None } else { reference(&format!("order-{}", number % 4)) };
        let order = Order {
            product: product(u128::from(number % 2)),
            location: location(u128::from(number % 3)),
            external_reference,
            ..order()
        };
        let delivery = stored(store, Delivery { order, ..confirmed(at(i64::from(number / 6))) }).await;
        all.push(if number % 7 == 0 {
            store.transition(delivery.id, Transition::Dispatch, None, None, at(50), in_time()).await.unwrap()
        } else {
            delivery
        });
    }
    all.sort_unstable_by_key(|delivery| std::cmp::Reverse((delivery.create_time, delivery.id)));
    all
}

fn filters() -> Vec<Filter> {
    let mut filters = Vec::new();
    for bits in 0..16 {
        filters.push(Filter {
            state: (bits & 1 != 0).then_some(State::Dispatched),
            product: (bits & 2 != 0).then(|| product(0)),
            location: (bits & 4 != 0).then(|| location(0)),
            external_reference: if bits & 8 != 0 { reference("order-2") } else { None },
        });
    }
    filters
}

fn holds(filter: &Filter, delivery: &Delivery) -> bool {
    let order = &delivery.order;
    filter.state.is_none_or(|state| state == delivery.state)
        && filter.product.is_none_or(|product| product == order.product)
        && filter.location.is_none_or(|location| location == order.location)
        && filter
            .external_reference
            .as_ref()
            .is_none_or(|wanted| order.external_reference.as_ref() == Some(wanted))
}

#[test]
fn every_combination_of_filters_finds_what_holds_in_pages_of_any_size() {
    on_each_database(|store| async move {
        let all = store_some(&store).await;
        for filter in filters() {
            let wanted: Vec<_> =
                all.iter().filter(|delivery| holds(&filter, delivery)).map(|found| found.id).collect();
            for page_size in [1, 5, 24, 1_000] {
                let pages = pages(&store, &filter, page_size).await;
                assert_eq!(pages.concat(), wanted, "{filter:?} by {page_size}");
            }
        }
        assert_eq!(pages(&store, &Filter::default(), 12).await.len(), 2, "no empty page at the end");
    });
}

#[test]
fn one_that_comes_while_the_pages_are_turned_is_not_in_them_and_moves_nothing() {
    on_each_database(|store| async move {
        let all = store_some(&store).await;
        let first = store.list(Filter::default(), Cursor::START, 10).await.unwrap();
        stored(&store, confirmed(at(99))).await;
        let second = store.list(Filter::default(), first.next.unwrap(), 100).await.unwrap();
        assert_eq!([first.deliveries, second.deliveries].concat(), all);
    });
}

#[test]
fn a_call_reads_a_bounded_number_of_rows_and_says_where_to_go_on() {
    on_each_database(|store| async move {
        let needle = Delivery { order: Order { location: location(7), ..order() }, ..confirmed(at(0)) };
        let needle = stored(&store, needle).await;
        let hay: Vec<_> = (0..MAX_SCANNED_ROWS).map(|_| confirmed(at(1))).collect();
        // Eight at a time: PostgreSQL then commits them together.
        for deliveries in hay.chunks(8) {
            let creates = deliveries.iter().map(|delivery| stored(&store, delivery.clone()));
            futures_util::future::join_all(creates).await;
        }
        let filter = Filter { product: Some(product(1)), location: Some(location(7)), ..Filter::default() };
        let short = store.list(filter.clone(), Cursor::START, 10).await.unwrap();
        assert_eq!(short.deliveries, [], "all the rows that a call reads are hay");
        let found = store.list(filter, short.next.unwrap(), 10).await.unwrap();
        assert_eq!((found.deliveries, found.next), (vec![needle], None));
    });
}

#[test]
fn a_cursor_from_anywhere_is_a_place_in_the_list() {
    on_each_database(|store| async move {
        let all = store_some(&store).await;
        let before_all = Cursor::from_bytes([0; Cursor::BYTES]);
        let page = store.list(Filter::default(), before_all, 10).await.unwrap();
        assert_eq!((page.deliveries, page.next), (Vec::new(), None));
        let after_all = Cursor::from_bytes([0x7F; Cursor::BYTES]);
        let page = store.list(Filter::default(), after_all, 100).await.unwrap();
        assert_eq!((page.deliveries, page.next), (all, None));
    });
}
