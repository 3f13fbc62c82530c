//! A made-up world of a given size: a tree of five levels, zones on countries and some cities, rules on every level.

use deliverability::{
    Change, Effect, Limits, Location, LocationId, LocationKind, Name, Note, PlaceSelector, Product,
    ProductId, ProductSelector, Quantity, Question, Rule, RuleId, Side, Size, State, Tag, Tags, Timestamp,
    Validity, Weight,
};
use uuid::Uuid;

const COUNTRIES: usize = 200;
const CLASSES: usize = 60;
const ZONES: usize = 40;

/// How many of each there are; every object follows from its number.
pub struct Made {
    products: usize,
    locations: usize,
    rules: usize,
    /// Of 100 rules, how many speak of any place or of a zone: the more, the more match each question.
    broad_percent: usize,
}

/// splitmix64: enough for a benchmark, and the same in every run.
pub struct Random(u64);

impl Made {
    pub fn new(products: usize, locations: usize, rules: usize, broad_percent: usize) -> Self {
        Self { products, locations, rules, broad_percent }
    }

    pub fn changes(&self) -> impl Iterator<Item = Change> {
        let products = (0..self.products).map(|n| Change::Product(product(n, &mut Random::new(n))));
        let locations = (0..self.locations).map(|n| Change::Location(self.location(n)));
        let rules = (0..self.rules).map(|n| Change::Rule(self.rule(n, &mut Random::new(n))));
        products.chain(locations).chain(rules)
    }

    /// The location that all others lie in, suspended: no figure depends on it, since only clones are changed so.
    pub fn root(&self) -> Change {
        Change::Location(Location { state: State::Suspended, version: 2, ..self.location(0) })
    }

    /// A change of an object that is there: mostly products, some rules.
    pub fn change(&self, random: &mut Random) -> Change {
        if random.below(10) == 0 {
            let n = random.below(self.rules);
            return Change::Rule(self.rule(n, random));
        }
        let n = random.below(self.products);
        Change::Product(product(n, random))
    }

    pub fn questions(&self, count: usize) -> Vec<Question> {
        let mut random = Random::new(42);
        let question = |_| Question {
            product: product_id(random.below(self.products)),
            location: location_id(random.below(self.locations)),
            quantity: Quantity::new(1 + random.below(5) as u32).expect("a quantity"),
            at: Timestamp::from_unix_micros(1_000_000).expect("an instant"),
        };
        (0..count).map(question).collect()
    }

    /// The world, then countries, then a tenth of what remains as regions, a quarter as cities, and postal areas.
    fn level(&self, n: usize) -> usize {
        let below = self.locations - COUNTRIES;
        [1, 1 + COUNTRIES, 1 + COUNTRIES + below / 40, 1 + COUNTRIES + below / 4]
            .into_iter()
            .filter(|first| n >= *first)
            .count()
    }

    fn parent(&self, n: usize, random: &mut Random) -> Option<usize> {
        let below = self.locations - COUNTRIES;
        let firsts = [0, 1, 1 + COUNTRIES, 1 + COUNTRIES + below / 40, 1 + COUNTRIES + below / 4];
        let level = self.level(n);
        (level > 0).then(|| firsts[level - 1] + random.below(firsts[level] - firsts[level - 1]))
    }

    fn location(&self, n: usize) -> Location {
        use LocationKind::{City, Country, PostalArea, Region};
        let mut random = Random::new(n);
        let level = self.level(n);
        let zones = match level {
            1 => 1 + random.below(3),
            3 => usize::from(random.below(10) == 0),
            _ => 0,
        };
        Location {
            id: location_id(n),
            parent: self.parent(n, &mut random).map(location_id),
            kind: [Region, Country, Region, City, PostalArea][level],
            code: None,
            name: Name::parse(&format!("Location number {n}")).expect("a name"),
            zones: tags("zone", ZONES, zones, &mut random),
            postal: None,
            state: State::Active,
            version: 1,
        }
    }

    fn rule(&self, n: usize, random: &mut Random) -> Rule {
        let effect = match random.below(100) {
            0 => Effect::Embargo,
            1..30 => Effect::Deny,
            _ => Effect::Allow,
        };
        let limit = (random.below(4) == 0).then_some(50_000);
        let until = Timestamp::from_unix_micros(2_000_000 + n as i64).expect("an instant");
        let until = (random.below(5) == 0).then_some(until);
        Rule {
            id: RuleId::from_uuid(uuid(3, n)).expect("an id"),
            effect,
            product: self.product_selector(effect, random),
            place: self.place_selector(effect, random),
            limits: Limits::new(limit.filter(|_| effect == Effect::Allow), None, None).expect("limits"),
            validity: Validity::new(None, until).expect("a span"),
            note: Note::default(),
            version: 1,
            deleted: false,
        }
    }

    fn product_selector(&self, effect: Effect, random: &mut Random) -> ProductSelector {
        match random.below(10) {
            0..2 if effect == Effect::Allow => ProductSelector::Any,
            0..5 => ProductSelector::Class(tag("class", random.below(CLASSES))),
            _ => ProductSelector::Product(product_id(random.below(self.products))),
        }
    }

    fn place_selector(&self, effect: Effect, random: &mut Random) -> PlaceSelector {
        if random.below(100) < self.broad_percent {
            return match random.below(5) {
                0 if effect == Effect::Allow => PlaceSelector::Any,
                _ => PlaceSelector::Zone(tag("zone", random.below(ZONES))),
            };
        }
        let within = if random.below(2) == 0 { COUNTRIES } else { self.locations - 1 };
        PlaceSelector::Location(location_id(1 + random.below(within)))
    }
}

impl Random {
    pub fn new(seed: usize) -> Self {
        Self(seed as u64)
    }

    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) as usize % end
    }
}

fn product(n: usize, random: &mut Random) -> Product {
    let side = |random: &mut Random| Side::new(1 + random.below(2_000) as u32).expect("a side");
    let classes = random.below(4);
    Product {
        id: product_id(n),
        name: Name::parse(&format!("Product number {n}")).expect("a name"),
        classes: tags("class", CLASSES, classes, random),
        weight: Some(Weight::new(1 + random.below(30_000) as u32).expect("a weight")),
        size: Some(Size::new(side(random), side(random), side(random))),
        state: State::Active,
        version: 1,
    }
}

fn tags(sort: &str, of: usize, count: usize, random: &mut Random) -> Tags {
    Tags::parse((0..count).map(|_| format!("{sort}-{}", random.below(of)))).expect("tags")
}

fn tag(sort: &str, n: usize) -> Tag {
    Tag::parse(&format!("{sort}-{n}")).expect("a tag")
}

fn product_id(n: usize) -> ProductId {
    ProductId::from_uuid(uuid(1, n)).expect("an id")
}

fn location_id(n: usize) -> LocationId {
    LocationId::from_uuid(uuid(2, n)).expect("an id")
}

/// As scattered as version 4.
fn uuid(sort: usize, n: usize) -> Uuid {
    let mut random = Random::new((sort << 40) + n);
    let half = |random: &mut Random| random.below(usize::MAX) as u64;
    Uuid::from_u64_pair(half(&mut random), half(&mut random))
}
