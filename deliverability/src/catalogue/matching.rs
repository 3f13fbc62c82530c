//! Which rules match a product and a place, and how specific each is about both.

use smallvec::SmallVec;

use super::Catalogue;
use super::places::Lineage;
use super::presence::Marks;
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

/// What is looked up at each place: selections of products, with their specificities.
type ProductKeys = SmallVec<[(ProductKey, Marks, u8); MAX_TAGS + 2]>;

impl Catalogue {
    /// Adds every rule that matches, whatever the time.
    pub(super) fn gather<'a>(
        &'a self,
        id: ProductId,
        product: &StoredProduct,
        lineage: &Lineage<'_>,
        matches: &mut Matches<'a>,
    ) {
        let keys = self.product_keys(id, product);
        self.gather_at(PlaceKey::Any, 0, &keys, matches);
        let mut seen = SmallVec::<[TagId; MAX_TAGS]>::new();
        let depths = (1..=lineage.len()).rev();
        for ((slot, node), depth) in lineage.iter().zip(depths) {
            let depth = u8::try_from(depth).expect("at most MAX_TREE_DEPTH");
            self.gather_at(PlaceKey::Location(*slot), depth, &keys, matches);
            // A zone on several nodes counts at the deepest, which the walk up meets first.
            for zone in self.zones.members(node.zones) {
                if !seen.contains(zone) {
                    seen.push(*zone);
                    self.gather_at(PlaceKey::Zone(*zone), depth, &keys, matches);
                }
            }
        }
    }

    fn product_keys(&self, id: ProductId, product: &StoredProduct) -> ProductKeys {
        let key = |product, specificity| (product, Marks::of(product), specificity);
        let mut keys = ProductKeys::new();
        keys.push(key(ProductKey::Any, ANY));
        for class in self.classes.members(product.classes) {
            keys.push(key(ProductKey::Class(*class), CLASS));
        }
        if let Some(number) = self.named.number(&id) {
            keys.push(key(ProductKey::Product(number), PRODUCT));
        }
        keys
    }

    fn gather_at<'a>(
        &'a self,
        place: PlaceKey,
        depth: u8,
        keys: &[(ProductKey, Marks, u8)],
        matches: &mut Matches<'a>,
    ) {
        let present = self.rules.at(place);
        for (product, marks, specificity) in keys {
            if present.meets(*marks)
                && let Some(rules) = self.rules.with_key(RuleKey { product: *product, place })
            {
                matches.push(Match { rules, product: *specificity, place: depth });
            }
        }
    }
}
