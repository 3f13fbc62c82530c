//! The budget: exact for every ratio, and never more than was put in.

use proptest::prelude::*;
use resilience::budget::{Budget, BudgetSettings};

const NANOS_PER_SECOND: u64 = 1_000_000_000;

fn budget(per_ten_thousand: u32, capacity_tokens: u32, reserve_per_second: u32) -> Budget {
    Budget::new(BudgetSettings { per_ten_thousand, capacity_tokens, reserve_per_second })
}

#[test]
fn every_ratio_is_exact() {
    for per_ten_thousand in 1..=10_000 {
        let budget = budget(per_ten_thousand, 20_000, 0);
        (0..10_000).for_each(|_| budget.deposit());
        let withdrawn = std::iter::repeat_with(|| budget.withdraw(0)).take_while(|given| *given).count();
        assert_eq!(withdrawn, per_ten_thousand as usize);
    }
}

#[test]
fn threads_together_withdraw_what_was_deposited() {
    let budget = budget(2_500, 1_000_000, 0);
    let withdrawn: usize = std::thread::scope(|scope| {
        let work = || {
            (0..40_000)
                .filter(|_| {
                    budget.deposit();
                    budget.withdraw(0)
                })
                .count()
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    let left = std::iter::repeat_with(|| budget.withdraw(0)).take_while(|given| *given).count();
    assert_eq!(withdrawn + left, 40_000);
}

#[derive(Clone, Debug)]
enum Step {
    Deposit,
    Withdraw,
    AdvanceMs(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => Just(Step::Deposit),
        3 => Just(Step::Withdraw),
        1 => (0..700_u64).prop_map(Step::AdvanceMs)
    ];
    prop::collection::vec(step, 0..400)
}

proptest! {
    #![proptest_config(crate::config())]

    #[test]
    fn a_budget_does_what_its_model_does(
        per_ten_thousand in 0..=10_000_u32,
        capacity in 0..50_u32,
        reserve in 0..20_u32,
        steps in steps(),
    ) {
        let budget = budget(per_ten_thousand, capacity, reserve);
        let (mut now_ns, mut ten_thousandths, mut reserve_at) =
            (0_u64, 0_u64, NANOS_PER_SECOND.checked_div(u64::from(reserve)));
        for step in steps {
            match step {
                Step::Deposit => {
                    budget.deposit();
                    ten_thousandths =
                        (ten_thousandths + u64::from(per_ten_thousand)).min(u64::from(capacity) * 10_000);
                }
                Step::AdvanceMs(ms) => now_ns += ms * 1_000_000,
                Step::Withdraw => {
                    let expected = if ten_thousandths >= 10_000 {
                        ten_thousandths -= 10_000;
                        true
                    } else if let Some(at) = reserve_at.filter(|at| *at <= now_ns) {
                        reserve_at = Some(now_ns.max(at) + NANOS_PER_SECOND / u64::from(reserve));
                        true
                    } else {
                        false
                    };
                    prop_assert_eq!(budget.withdraw(now_ns), expected);
                }
            }
            prop_assert_eq!(budget.tokens(), ten_thousandths / 10_000);
        }
    }
}
