//! What decisions need of a product, without its name.

use super::tag_sets::SetId;
use crate::cow::CowMap;
use crate::{Product, ProductId, State, Weight};

/// Every product told of.
#[derive(Clone, Default)]
pub(super) struct Products(CowMap<ProductId, StoredProduct, 2>);

/// There may be millions.
#[derive(Clone, Copy)]
pub(super) struct StoredProduct {
    pub(super) classes: SetId,
    /// 0: not known.
    weight_g: u32,
    /// 0: no rule names it; n + 1: it is the nth of those that rules name.
    named: u32,
    /// 0: not known. Three bytes hold the longest side.
    side_mm: [u8; 3],
    pub(super) state: State,
}

const _: () = assert!(size_of::<Option<(ProductId, StoredProduct)>>() == 32, "half a cache line");

// === impl Products ===

impl Products {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn get(&self, id: ProductId) -> Option<&StoredProduct> {
        self.0.get(&id)
    }

    /// With its number among those that rules name. Gives what was there before.
    pub(super) fn put(
        &mut self,
        product: &Product,
        classes: SetId,
        named: Option<u32>,
    ) -> Option<StoredProduct> {
        let side_mm = product.size.map_or(0, |size| size.longest().get());
        let [a, b, c, _] = side_mm.to_le_bytes();
        let stored = StoredProduct {
            classes,
            weight_g: product.weight.map_or(0, Weight::get),
            named: named.map_or(0, |number| number + 1),
            side_mm: [a, b, c],
            state: product.state,
        };
        self.0.insert(product.id, stored)
    }

    /// Notes the number that a product got or lost, if the product was told of.
    pub(super) fn name(&mut self, id: ProductId, named: Option<u32>) {
        if let Some(product) = self.0.get_mut(&id) {
            product.named = named.map_or(0, |number| number + 1);
        }
    }
}

// === impl StoredProduct ===

impl StoredProduct {
    /// Its number among those that rules name.
    pub(super) fn named(&self) -> Option<u32> {
        self.named.checked_sub(1)
    }

    pub(super) fn weight_g(&self) -> Option<u32> {
        (self.weight_g > 0).then_some(self.weight_g)
    }

    pub(super) fn side_mm(&self) -> Option<u32> {
        let [a, b, c] = self.side_mm;
        let side_mm = u32::from_le_bytes([a, b, c, 0]);
        (side_mm > 0).then_some(side_mm)
    }
}
