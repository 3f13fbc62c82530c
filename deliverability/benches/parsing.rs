//! How long the texts of a question take to read: two ids each, without an allocation.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use deliverability::{Postcode, ProductId};

fn parsing(criterion: &mut Criterion) {
    let lower = "2eb73728-2fea-475e-b536-5e1458294a90";
    let upper = lower.to_uppercase();
    let wrong = lower.replace("475e", "475g");
    for (name, text) in [("lower case", lower), ("upper case", &upper), ("not an id", &wrong)] {
        criterion.bench_function(&format!("parsing/id, {name}"), |bencher| {
            bencher.iter(|| ProductId::parse(black_box(text)));
        });
    }
    criterion
        .bench_function("parsing/postcode", |bencher| bencher.iter(|| Postcode::parse(black_box("1011 ab"))));
}

criterion_group!(benches, parsing);
criterion_main!(benches);
