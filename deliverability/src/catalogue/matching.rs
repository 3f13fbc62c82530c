//! Which rules match a product and a place, and how specific each is about both.

use smallvec::SmallVec;

use super::Catalogue;
use super::places::Lineage;
use super::products::StoredProduct;
use super::rules::{PlaceKey, ProductKey, RuleKey, RuleList};
use super::tag_sets::TagId;
use crate::{MAX_TAGS, ProductId};

/// Specificities about the product; about the place, 0 is any and n the nth location from the root.
const ANY: u8 = 0;
const CLASS: u8 = 1;
const PRODUCT: u8 = 2;
/// How many there are.
pub(super) const PRODUCT_LEVELS: usize = 3;

/// The rules with one pair of selectors that match, in force or not: equally specific, so they fare alike.
#[derive(Clone, Copy)]
pub(super) struct Match<'a> {
    pub(super) rules: &'a RuleList,
    pub(super) product: u8,
    pub(super) place: u8,
}

/// More than most questions meet, so that a decision takes nothing from the heap.
pub(super) type Matches<'a> = SmallVec<[Match<'a>; 32]>;

type ProductKeys = SmallVec<[(ProductKey, u8); MAX_TAGS + 2]>;

impl Catalogue {
    /// Every rule that matches, whatever the time.
    pub(super) fn matches(
        &self,
        id: ProductId,
        product: &StoredProduct,
        lineage: &Lineage<'_>,
    ) -> Matches<'_> {
        let keys = self.product_keys(id, product);
        let mut matches = Matches::new();
        self.gather(&keys, PlaceKey::Any, 0, &mut matches);
        let mut seen = SmallVec::<[TagId; MAX_TAGS]>::new();
        let depths = (1..=lineage.len()).rev();
        for ((slot, node), depth) in lineage.iter().zip(depths) {
            let depth = u8::try_from(depth).expect("at most MAX_TREE_DEPTH");
            if node.rules > 0 {
                self.gather(&keys, PlaceKey::Location(*slot), depth, &mut matches);
            }
            // A zone on several nodes counts at the deepest, which the walk up meets first.
            for zone in self.zones.members(node.zones) {
                if !seen.contains(zone) {
                    seen.push(*zone);
                    self.gather(&keys, PlaceKey::Zone(*zone), depth, &mut matches);
                }
            }
        }
        matches
    }

    fn product_keys(&self, id: ProductId, product: &StoredProduct) -> ProductKeys {
        let mut keys = ProductKeys::new();
        keys.push((ProductKey::Any, ANY));
        keys.extend(
            self.classes.members(product.classes).iter().map(|class| (ProductKey::Class(*class), CLASS)),
        );
        if self.rules.name(id) {
            keys.push((ProductKey::Product(id), PRODUCT));
        }
        keys
    }

    fn gather<'a>(
        &'a self,
        keys: &[(ProductKey, u8)],
        place: PlaceKey,
        depth: u8,
        matches: &mut Matches<'a>,
    ) {
        for (product, specificity) in keys {
            let rules = self.rules.with_key(RuleKey { product: *product, place });
            matches.extend(rules.map(|rules| Match { rules, product: *specificity, place: depth }));
        }
    }
}
