//! Messages into objects that can't be wrong; every bad field is named, all at once.

use chassis::status::{Violation, Violations};
use deliverability::{
    Code, Effect, Invalid, Limits, Location, LocationId, LocationKind, Name, Note, PlaceSelector,
    PostalMatcher, PostalRange, Postcode, Product, ProductId, ProductSelector, Quantity, Rule, RuleId, Side,
    Size, State, Tag, Tags, Timestamp, Validity, Weight,
};
use prost_types::Timestamp as WireTime;
use proto::product::v1 as wire;
use uuid::Uuid;

/// Whether a message must bring its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ids {
    /// It must: an import can be run again.
    Required,
    /// It may leave it to the server.
    MadeIfAbsent,
}

impl Ids {
    fn parse<T>(
        self,
        text: &str,
        parse: fn(&str) -> Result<T, Invalid>,
        from: fn(Uuid) -> Result<T, Invalid>,
    ) -> Result<T, Invalid> {
        match self {
            Self::MadeIfAbsent if text.is_empty() => from(Uuid::now_v7()),
            _ => parse(text),
        }
    }
}

pub(super) fn product(message: &wire::Product, ids: Ids, prefix: &str) -> Result<Product, Vec<Violation>> {
    let mut bad = Violations::under(prefix);
    let id = bad.check("product_id", ids.parse(&message.product_id, ProductId::parse, ProductId::from_uuid));
    let name = bad.check("name", Name::parse(&message.name));
    let classes = bad.check("classes", Tags::parse(&message.classes));
    let weight = bad.check_optional("weight_g", message.weight_g.map(Weight::new));
    let size = size(message, &mut bad);
    let state = state(message.state, &mut bad);
    let product = (|| {
        Some(Product {
            id: id?,
            name: name?,
            classes: classes?,
            weight,
            size,
            state: state?,
            version: message.version,
        })
    })();
    bad.finish(product)
}

fn size(message: &wire::Product, bad: &mut Violations) -> Option<Size> {
    let length = bad.check_optional("length_mm", message.length_mm.map(Side::new));
    let width = bad.check_optional("width_mm", message.width_mm.map(Side::new));
    let height = bad.check_optional("height_mm", message.height_mm.map(Side::new));
    let given = [message.length_mm, message.width_mm, message.height_mm];
    if given.iter().any(Option::is_some) {
        for (field, _) in
            ["length_mm", "width_mm", "height_mm"].iter().zip(given).filter(|(_, given)| given.is_none())
        {
            bad.add(*field, "must be given too: dimensions are given all three or none");
        }
    }
    Some(Size { length: length?, width: width?, height: height? })
}

pub(super) fn location(message: &wire::Location, ids: Ids, prefix: &str) -> Result<Location, Vec<Violation>> {
    let mut bad = Violations::under(prefix);
    let id =
        bad.check("location_id", ids.parse(&message.location_id, LocationId::parse, LocationId::from_uuid));
    let parent = bad.check_optional("parent_id", message.parent_id.as_deref().map(LocationId::parse));
    let kind = match message.kind() {
        wire::LocationKind::Country => Some(LocationKind::Country),
        wire::LocationKind::Region => Some(LocationKind::Region),
        wire::LocationKind::City => Some(LocationKind::City),
        wire::LocationKind::PostalArea => Some(LocationKind::PostalArea),
        wire::LocationKind::Site => Some(LocationKind::Site),
        wire::LocationKind::Unspecified => {
            bad.add("kind", "must be one of the kinds that LocationKind lists");
            None
        }
    };
    let code = bad.check_optional("code", message.code.as_deref().map(Code::parse));
    let name = bad.check("name", Name::parse(&message.name));
    let zones = bad.check("zones", Tags::parse(&message.zones));
    let postal = message.postal.as_ref().and_then(|postal| postal_matcher(postal, &mut bad));
    let state = state(message.state, &mut bad);
    let location = (|| {
        Some(Location {
            id: id?,
            parent,
            kind: kind?,
            code,
            name: name?,
            zones: zones?,
            postal,
            state: state?,
            version: message.version,
        })
    })();
    bad.finish(location)
}

fn postal_matcher(message: &wire::PostalMatcher, bad: &mut Violations) -> Option<PostalMatcher> {
    use wire::postal_matcher::Matcher;
    match &message.matcher {
        None => {
            bad.add("postal", "must have one of exact, prefix and range");
            None
        }
        Some(Matcher::Exact(text)) => {
            bad.check("postal.exact", Postcode::parse(text)).map(PostalMatcher::Exact)
        }
        Some(Matcher::Prefix(text)) => {
            bad.check("postal.prefix", Postcode::parse(text)).map(PostalMatcher::Prefix)
        }
        Some(Matcher::Range(range)) => {
            bad.check("postal.range", PostalRange::parse(&range.first, &range.last)).map(PostalMatcher::Range)
        }
    }
}

pub(super) fn rule(message: &wire::Rule, ids: Ids, prefix: &str) -> Result<Rule, Vec<Violation>> {
    let mut bad = Violations::under(prefix);
    let id = bad.check("rule_id", ids.parse(&message.rule_id, RuleId::parse, RuleId::from_uuid));
    let effect = match message.effect() {
        wire::Effect::Allow => Some(Effect::Allow),
        wire::Effect::Deny => Some(Effect::Deny),
        wire::Effect::Embargo => Some(Effect::Embargo),
        wire::Effect::Unspecified => {
            bad.add("effect", "must be EFFECT_ALLOW, EFFECT_DENY or EFFECT_EMBARGO");
            None
        }
    };
    let product = product_selector(message, &mut bad);
    let place = place_selector(message, &mut bad);
    let limits = limits(message, &mut bad);
    let from = bad.check_optional("valid_from", message.valid_from.map(timestamp));
    let until = bad.check_optional("valid_until", message.valid_until.map(timestamp));
    let validity = bad.check("valid_until", Validity::new(from, until));
    let note = bad.check("note", Note::parse(&message.note));
    let rule = (|| {
        Some(Rule {
            id: id?,
            effect: effect?,
            product: product?,
            place: place?,
            limits: limits?,
            validity: validity?,
            note: note?,
            version: message.version,
            deleted: message.deleted,
        })
    })();
    if let Some(Err(invalid)) = rule.as_ref().map(Rule::check) {
        bad.add("effect", invalid);
    }
    bad.finish(rule)
}

fn limits(message: &wire::Rule, bad: &mut Violations) -> Option<Limits> {
    // One by one, so that each bad limit is named.
    bad.check("max_weight_g", Limits::new(message.max_weight_g, None, None));
    bad.check("max_side_mm", Limits::new(None, message.max_side_mm, None));
    bad.check("max_quantity", Limits::new(None, None, message.max_quantity));
    Limits::new(message.max_weight_g, message.max_side_mm, message.max_quantity).ok()
}

fn product_selector(message: &wire::Rule, bad: &mut Violations) -> Option<ProductSelector> {
    use wire::product_selector::Selector;
    match message.product.as_ref().and_then(|product| product.selector.as_ref()) {
        Some(Selector::Any(true)) => Some(ProductSelector::Any),
        Some(Selector::Class(class)) => {
            bad.check("product.class", Tag::parse(class)).map(ProductSelector::Class)
        }
        Some(Selector::ProductId(id)) => {
            bad.check("product.product_id", ProductId::parse(id)).map(ProductSelector::Product)
        }
        Some(Selector::Any(false)) | None => {
            bad.add("product", "must have one of any (true), class and product_id");
            None
        }
    }
}

fn place_selector(message: &wire::Rule, bad: &mut Violations) -> Option<PlaceSelector> {
    use wire::place_selector::Selector;
    match message.place.as_ref().and_then(|place| place.selector.as_ref()) {
        Some(Selector::Any(true)) => Some(PlaceSelector::Any),
        Some(Selector::Zone(zone)) => bad.check("place.zone", Tag::parse(zone)).map(PlaceSelector::Zone),
        Some(Selector::LocationId(id)) => {
            bad.check("place.location_id", LocationId::parse(id)).map(PlaceSelector::Location)
        }
        Some(Selector::Any(false)) | None => {
            bad.add("place", "must have one of any (true), zone and location_id");
            None
        }
    }
}

fn state(state: i32, bad: &mut Violations) -> Option<State> {
    match wire::State::try_from(state) {
        Ok(wire::State::Unspecified | wire::State::Active) => Some(State::Active),
        Ok(wire::State::Suspended) => Some(State::Suspended),
        Ok(wire::State::Retired) => Some(State::Retired),
        Err(_) => {
            bad.add("state", "must be one of the states that State lists");
            None
        }
    }
}

/// Absent is one unit.
pub(super) fn quantity(units: Option<u32>) -> Result<Quantity, Invalid> {
    units.map_or_else(|| Ok(Quantity::default()), Quantity::new)
}

/// To the microsecond; what is finer is dropped.
pub(super) fn timestamp(time: WireTime) -> Result<Timestamp, String> {
    if !(0..1_000_000_000).contains(&time.nanos) {
        return Err(format!("must have nanos from 0 to 999,999,999, and has {}", time.nanos));
    }
    let micros = time.seconds.saturating_mul(1_000_000).saturating_add(i64::from(time.nanos) / 1_000);
    Timestamp::from_unix_micros(micros).map_err(|invalid| invalid.to_string())
}
