//! The contract's values in words.

use proto::delivery::v1::DeliveryState;
use proto::product::v1::{LimitKind, Reason, ViolatedLimit};

/// A decision's reason as a sentence.
pub fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::Unspecified => "the service named no reason",
        Reason::ProductUnknown => "there is no such product",
        Reason::ProductRetired => "the product is out of use for ever",
        Reason::ProductSuspended => "the product is out of use for now",
        Reason::LocationUnknown => "there is no such location",
        Reason::LocationRetired => "the location, or one that it lies in, is out of use for ever",
        Reason::LocationSuspended => "the location, or one that it lies in, is out of use for now",
        Reason::Embargoed => "an embargo forbids it, whatever other rules say",
        Reason::Denied => "a rule forbids it, and no more specific one allows it",
        Reason::NoRule => "no rule allows it",
        Reason::OverWeight => "it is too heavy",
        Reason::OverSize => "it is too long",
        Reason::OverQuantity => "it is more than may go in one delivery",
        Reason::MeasureMissing => "a limit is set on a measure that the product lacks",
        Reason::Allowed => "a rule allows it",
    }
}

/// A limit that was not kept, such as "at most 24 units, and it is 25".
pub fn violated_limit(limit: &ViolatedLimit) -> String {
    let (what, unit) = match limit.kind() {
        LimitKind::WeightG => ("weight", "g"),
        LimitKind::SideMm => ("longest side", "mm"),
        LimitKind::Quantity => ("quantity", "units"),
        LimitKind::Unspecified => ("measure", ""),
    };
    let most = grouped(limit.limit);
    match limit.actual {
        Some(actual) => format!("{what} at most {most} {unit}, and it is {}", grouped(actual)),
        None => format!("{what} at most {most} {unit}, and it is not known"),
    }
}

/// An enum's value without the enum's name before it: CONFIRMED for DELIVERY_STATE_CONFIRMED.
pub fn short(name: &'static str, prefix: &str) -> &'static str {
    name.strip_prefix(prefix).unwrap_or(name)
}

/// A delivery's state by its short name.
pub fn state(state: DeliveryState) -> &'static str {
    short(state.as_str_name(), "DELIVERY_STATE_")
}

/// A time, or what its absence means.
pub fn time(time: Option<&prost_types::Timestamp>, absent: &str) -> String {
    time.map_or_else(|| absent.to_owned(), ToString::to_string)
}

/// 1234567 as "1,234,567".
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// An argument as a shell reads it.
pub fn quoted(argument: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:=@%+,".contains(letter);
    if !argument.is_empty() && argument.chars().all(plain) {
        argument.to_owned()
    } else {
        format!("'{}'", argument.replace('\'', r"'\''"))
    }
}

/// This program as its user called it, to be put before suggested commands.
pub fn program() -> String {
    let called = std::env::args().next().unwrap_or_default();
    if called.is_empty() { "candeliver".to_owned() } else { quoted(&called) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let grouped: Vec<_> = [0, 999, 1_000, 12_345, 1_234_567].into_iter().map(grouped).collect();
        assert_eq!(grouped, ["0", "999", "1,000", "12,345", "1,234,567"]);
    }

    #[test]
    fn arguments_are_quoted_where_a_shell_would_break_them() {
        assert_eq!(quoted("http://127.0.0.1:50051"), "http://127.0.0.1:50051");
        assert_eq!(quoted("order 7"), "'order 7'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn a_limit_tells_what_was_asked_for() {
        let mut limit =
            ViolatedLimit { kind: LimitKind::WeightG.into(), limit: 10_000, actual: Some(45_000) };
        assert_eq!(violated_limit(&limit), "weight at most 10,000 g, and it is 45,000");
        limit.actual = None;
        assert_eq!(violated_limit(&limit), "weight at most 10,000 g, and it is not known");
    }
}
