//! Field masks: which fields of an update are meant.

use chassis::status::Violations;
use prost_types::FieldMask;
use proto::product::v1 as wire;

/// Stands for every field that can be changed.
const ALL: &str = "*";

/// A message whose fields can be changed one by one.
pub(super) trait Maskable: Clone {
    /// The fields that can be changed.
    const PATHS: &'static [&'static str];

    /// Takes one of them from `sent`.
    fn take(&mut self, path: &str, sent: &Self);
}

/// The fields that a mask names.
pub(super) fn paths<T: Maskable>(mask: Option<FieldMask>, bad: &mut Violations) -> Vec<&'static str> {
    let named = mask.unwrap_or_default().paths;
    if named.is_empty() {
        bad.add(
            "update_mask",
            format!("must name what to change: {}, or {ALL} for all", T::PATHS.join(", ")),
        );
    }
    if let [only] = &named[..]
        && only == ALL
    {
        return T::PATHS.to_vec();
    }
    let mut paths = Vec::new();
    for (position, path) in named.iter().enumerate() {
        match T::PATHS.iter().find(|known| *known == path) {
            Some(known) => paths.push(*known),
            None => bad.add(
                format!("update_mask.paths[{position}]"),
                format!("must be one of {}, or {ALL} alone", T::PATHS.join(", ")),
            ),
        }
    }
    paths
}

/// What is stored, with the fields that were sent in their place.
pub(super) fn overlay<T: Maskable>(mut stored: T, sent: &T, paths: &[&str]) -> T {
    for path in paths {
        stored.take(path, sent);
    }
    stored
}

macro_rules! impl_maskable {
    ($message:ident: $($field:ident),+) => {
        impl Maskable for wire::$message {
            const PATHS: &'static [&'static str] = &[$(stringify!($field)),+];

            fn take(&mut self, path: &str, sent: &Self) {
                match path {
                    $(stringify!($field) => self.$field = sent.$field.clone(),)+
                    _ => {}
                }
            }
        }
    };
}

impl_maskable!(Product: name, classes, weight_g, length_mm, width_mm, height_mm, state);
impl_maskable!(Location: parent_id, kind, code, name, zones, postal, state);
impl_maskable!(Rule: effect, product, place, max_weight_g, max_side_mm, max_quantity, valid_from, valid_until, note);

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(paths: &[&str]) -> Option<FieldMask> {
        Some(FieldMask { paths: paths.iter().map(ToString::to_string).collect() })
    }

    #[test]
    fn only_named_fields_change_and_an_absent_one_is_cleared() {
        let stored = wire::Product { name: "milk".into(), weight_g: Some(1000), ..Default::default() };
        let sent = wire::Product { name: "rock".into(), weight_g: None, ..Default::default() };
        let mut bad = Violations::default();
        let paths = paths::<wire::Product>(mask(&["weight_g"]), &mut bad);
        assert!(bad.is_empty());
        let merged = overlay(stored, &sent, &paths);
        assert_eq!((merged.name.as_str(), merged.weight_g), ("milk", None));
    }

    #[test]
    fn a_mask_that_names_nothing_or_the_unchangeable_is_refused() {
        for bad_mask in [None, mask(&[]), mask(&["product_id"]), mask(&["*", "nonsense"])] {
            let mut bad = Violations::default();
            paths::<wire::Product>(bad_mask.clone(), &mut bad);
            assert!(!bad.is_empty(), "{bad_mask:?}");
        }
    }
}
