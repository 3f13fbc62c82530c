//! What the benches have in common: the layers as Delivery sets them.

use std::time::Duration;

use resilience::CallSettings;
use resilience::breaker::{BreakerSettings, NEVER_PERCENT, WindowSettings};
use resilience::budget::BudgetSettings;
use resilience::deadline::DeadlineSettings;
use resilience::hedge::HedgeSettings;
use resilience::outcome::Meaning;
use resilience::retry::RetrySettings;

/// Each endpoint's breaker. Slow answers don't open it: on a busy machine any may be.
pub const BREAKER: BreakerSettings = BreakerSettings {
    window: WindowSettings::Seconds(10),
    minimum_calls: 10,
    failure_rate_percent: 50,
    slow_rate_percent: NEVER_PERCENT,
    slow: Some(Duration::from_millis(200)),
    half_open_calls: 1,
    open: Duration::from_millis(100),
    open_multiplier: 2.0,
    max_open: Duration::from_secs(1),
    open_jitter: 0.2,
};

/// Around each call.
#[must_use]
pub fn call_settings(hedge: Option<HedgeSettings>) -> CallSettings {
    CallSettings {
        deadline: DeadlineSettings {
            reserve: Duration::from_millis(50),
            reserve_fraction: 4,
            cap: Duration::from_secs(1),
            attempt: Duration::from_millis(300),
            floor: Duration::from_millis(1),
        },
        bulkhead: 512,
        retry: RetrySettings {
            max_attempts: 3,
            first_pause: Duration::from_millis(20),
            max_pause: Duration::from_millis(300),
        },
        budget: BudgetSettings { per_ten_thousand: 1_000, capacity_tokens: 100, reserve_per_second: 2 },
        hedge,
        classify: Meaning::of,
        weighs: true,
        judged_from: Duration::from_millis(200),
    }
}
