//! What decisions need of a product, without its name.

use super::tag_sets::SetId;
use crate::cow::CowMap;
use crate::{Product, ProductId, State, Weight};

/// Every product told of.
#[derive(Clone, Default)]
pub(super) struct Products(CowMap<ProductId, StoredProduct>);

/// There may be millions.
#[derive(Clone, Copy)]
pub(super) struct StoredProduct {
    pub(super) classes: SetId,
    /// 0: not known.
    weight_g: u32,
    /// 0: not known.
    side_mm: u32,
    pub(super) state: State,
}

const _: () = assert!(size_of::<(ProductId, StoredProduct)>() == 32, "half a cache line");

impl Products {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn get(&self, id: ProductId) -> Option<&StoredProduct> {
        self.0.get(&id)
    }

    /// Gives what was there before.
    pub(super) fn put(&mut self, product: &Product, classes: SetId) -> Option<StoredProduct> {
        let stored = StoredProduct {
            classes,
            weight_g: product.weight.map_or(0, Weight::get),
            side_mm: product.size.map_or(0, |size| size.longest().get()),
            state: product.state,
        };
        self.0.insert(product.id, stored)
    }
}

impl StoredProduct {
    pub(super) fn weight_g(&self) -> Option<u32> {
        (self.weight_g > 0).then_some(self.weight_g)
    }

    pub(super) fn side_mm(&self) -> Option<u32> {
        (self.side_mm > 0).then_some(self.side_mm)
    }
}
