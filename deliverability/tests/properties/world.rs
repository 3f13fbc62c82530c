//! Small random catalogues, made so that rules meet: few products, a deep tree, few tags, few instants.

use deliverability::{
    Catalogue, Change, Effect, Limits, Location, LocationId, LocationKind, Name, Note, PlaceSelector,
    Product, ProductId, ProductSelector, Quantity, Question, Rule, RuleId, Side, Size, State, Tag, Tags,
    Timestamp, Validity, Weight,
};
use proptest::prelude::*;
use uuid::Uuid;

const PRODUCTS: usize = 4;
const LOCATIONS: usize = 9;
pub const RULES: usize = 14;
pub const OBJECTS: usize = PRODUCTS + LOCATIONS + RULES;
const CLASSES: [&str; 3] = ["food", "hazmat", "large"];
const ZONES: [&str; 3] = ["eu", "metro", "remote"];
/// Rules start and end at instants below this.
const INSTANTS: i64 = 6;

/// What a catalogue is built from; the nth object has the nth id. The last product and location are left out at times.
#[derive(Clone, Debug)]
pub struct World {
    pub products: Vec<Product>,
    pub locations: Vec<Location>,
    pub rules: Vec<Rule>,
}

impl World {
    pub fn changes(&self) -> Vec<Change> {
        let products = self.products.iter().cloned().map(Change::Product);
        let locations = self.locations.iter().cloned().map(Change::Location);
        products.chain(locations).chain(self.rules.iter().cloned().map(Change::Rule)).collect()
    }
}

pub fn build(changes: &[Change]) -> Catalogue {
    let mut catalogue = Catalogue::default();
    changes.iter().cloned().for_each(|change| catalogue.apply(change));
    catalogue.seal();
    catalogue
}

/// Every product at every location, one unknown one each, now and then, one and more.
pub fn questions() -> impl Iterator<Item = Question> {
    let pairs = (0..=PRODUCTS).flat_map(|product| (0..=LOCATIONS).map(move |location| (product, location)));
    pairs.flat_map(|(product, location)| {
        [(1, 0), (1, 2), (3, 3), (2, 5)].into_iter().map(move |(quantity, at)| Question {
            product: product_id(product),
            location: location_id(location),
            quantity: Quantity::new(quantity).unwrap(),
            at: instant(at),
        })
    })
}

/// A catalogue as it is at checkpoints: every location's parent has a lower number.
pub fn worlds() -> impl Strategy<Value = World> {
    worlds_with(|n| if n == 0 { Just(None).boxed() } else { prop::option::weighted(0.9, 0..n).boxed() })
}

/// A catalogue as it may be between checkpoints, with cycles.
pub fn tangled_worlds() -> impl Strategy<Value = World> {
    worlds_with(|_| prop::option::weighted(0.9, 0..LOCATIONS).boxed())
}

fn worlds_with(parent: impl Fn(usize) -> BoxedStrategy<Option<usize>>) -> impl Strategy<Value = World> {
    let locations: Vec<_> = (0..LOCATIONS).map(|n| locations(n, parent(n))).collect();
    let products: Vec<_> = (0..PRODUCTS).map(products).collect();
    let rules = prop::collection::vec(rules(), RULES).prop_map(|mut rules| {
        rules.iter_mut().enumerate().for_each(|(n, rule)| rule.id = rule_id(n));
        rules
    });
    (products, locations, rules).prop_map(|(products, locations, rules)| World { products, locations, rules })
}

fn products(n: usize) -> impl Strategy<Value = Product> {
    let measures = (prop::option::weighted(0.7, 1..4_u32), prop::option::weighted(0.7, 1..4_u32));
    (tags(CLASSES, 0.4), measures, states(0.85)).prop_map(move |(classes, (weight, side), state)| {
        let [small, side] = [Some(1), side].map(|side| side.map(|side| Side::new(side).unwrap()));
        Product {
            id: product_id(n),
            name: name(),
            classes,
            weight: weight.map(|grams| Weight::new(grams).unwrap()),
            size: side.zip(small).map(|(side, small)| Size::new(small, side, small)),
            state,
            version: 1,
        }
    })
}

fn locations(n: usize, parent: BoxedStrategy<Option<usize>>) -> impl Strategy<Value = Location> {
    (parent, tags(ZONES, 0.2), states(0.97)).prop_map(move |(parent, zones, state)| Location {
        id: location_id(n),
        parent: parent.map(location_id),
        kind: LocationKind::Site,
        code: None,
        name: name(),
        zones,
        postal: None,
        state,
        version: 1,
    })
}

pub fn rules() -> impl Strategy<Value = Rule> {
    let effects = prop_oneof![8 => Just(Effect::Allow), 4 => Just(Effect::Deny), 1 => Just(Effect::Embargo)];
    let limits = [(); 3].map(|()| prop::option::weighted(0.2, 1..5_u32));
    let from = prop::option::weighted(0.25, 0..INSTANTS);
    let length = prop::option::weighted(0.25, 1..INSTANTS);
    let state = (1..5_u32, prop::bool::weighted(0.1));
    (effects, product_selectors(), place_selectors(), limits, from, length, state).prop_map(
        |(effect, product, place, [weight, side, quantity], from, length, (version, deleted))| {
            let until = length.map(|length| instant(from.unwrap_or(0) + length));
            let limits = Limits::new(weight, side, quantity).unwrap();
            Rule {
                id: rule_id(0),
                effect,
                product,
                place,
                limits: if effect == Effect::Allow { limits } else { Limits::default() },
                validity: Validity::new(from.map(instant), until).unwrap(),
                note: Note::default(),
                version,
                deleted,
            }
        },
    )
}

fn product_selectors() -> impl Strategy<Value = ProductSelector> {
    prop_oneof![
        Just(ProductSelector::Any),
        prop::sample::select(&CLASSES).prop_map(|class| ProductSelector::Class(Tag::parse(class).unwrap())),
        (0..=PRODUCTS).prop_map(|n| ProductSelector::Product(product_id(n))),
    ]
}

fn place_selectors() -> impl Strategy<Value = PlaceSelector> {
    prop_oneof![
        1 => Just(PlaceSelector::Any),
        2 => prop::sample::select(&ZONES).prop_map(|zone| PlaceSelector::Zone(Tag::parse(zone).unwrap())),
        3 => (0..=LOCATIONS).prop_map(|n| PlaceSelector::Location(location_id(n))),
    ]
}

fn tags(from: [&'static str; 3], likely: f64) -> impl Strategy<Value = Tags> {
    let each = from.map(|tag| prop::bool::weighted(likely).prop_map(move |there| there.then_some(tag)));
    each.prop_map(|tags| Tags::parse(tags.into_iter().flatten()).unwrap())
}

fn states(active: f64) -> impl Strategy<Value = State> {
    (prop::bool::weighted(active), any::<bool>()).prop_map(|states| match states {
        (true, _) => State::Active,
        (false, true) => State::Suspended,
        (false, false) => State::Retired,
    })
}

fn name() -> Name {
    Name::parse("anything").unwrap()
}

fn instant(micros: i64) -> Timestamp {
    Timestamp::from_unix_micros(micros).unwrap()
}

fn product_id(n: usize) -> ProductId {
    ProductId::from_uuid(Uuid::from_u128(n as u128 + 1)).unwrap()
}

fn location_id(n: usize) -> LocationId {
    LocationId::from_uuid(Uuid::from_u128(n as u128 + 1)).unwrap()
}

pub fn rule_id(n: usize) -> RuleId {
    RuleId::from_uuid(Uuid::from_u128(n as u128 + 1)).unwrap()
}

pub fn rule_number(id: RuleId) -> usize {
    usize::try_from(id.as_uuid().as_u128() - 1).unwrap()
}
