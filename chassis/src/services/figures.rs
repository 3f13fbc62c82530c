//! What calls came to: how many, with which code, and how long they took, by method.
//!
//! Each runtime counts on cache lines of its own, so that counting makes no core wait for another; who reads sums up.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tonic::Code;

/// How many codes gRPC has.
pub(crate) const CODES: usize = 17;

/// Up to how long a call took to count in each bucket but the last, which has no bound. CanDeliver takes microseconds, a
/// create about a millisecond, an import seconds.
const BUCKETS: [Duration; 12] = [
    Duration::from_micros(50),
    Duration::from_micros(100),
    Duration::from_micros(250),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2_500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(50),
    Duration::from_millis(250),
    Duration::from_secs(1),
    Duration::from_secs(5),
];

/// Methods of one service that are told apart; no service of ours has so many.
const MAX_METHODS: usize = 32;

/// The name under which calls are counted whose method the service does not know.
const OTHER_METHODS: &str = "other";

/// The calls of one service on one runtime.
#[derive(Debug)]
pub(crate) struct Figures {
    service: &'static str,
    /// Filled from the front. A method gets its place when its handler first answers with anything but UNIMPLEMENTED, so names
    /// that callers make up get none, whatever else ends such a call: the load limit, a deadline, the caller.
    methods: [OnceLock<Box<Method>>; MAX_METHODS],
    others: Box<Method>,
}

/// The calls of one method.
#[derive(Debug)]
#[repr(align(128))]
struct Method {
    name: Box<str>,
    codes: [AtomicU64; CODES],
    buckets: [AtomicU64; BUCKETS.len() + 1],
    nanos: AtomicU64,
    in_flight: AtomicU64,
}

/// Which method a call is to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place(Option<usize>);

/// The calls of one method, summed over the runtimes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Total {
    pub(crate) service: &'static str,
    pub(crate) method: String,
    /// How many had each code, by its number.
    pub(crate) codes: [u64; CODES],
    /// The upper bound of each bucket in seconds, and how many calls lie between it and the bound before.
    pub(crate) buckets: Vec<(f64, u64)>,
    pub(crate) seconds: f64,
    /// How many have not ended. Until its handler has answered for the first time, a method's calls are among the others.
    pub(crate) in_flight: u64,
}

// === impl Figures ===

impl Figures {
    pub(super) fn new(service: &'static str) -> Self {
        let others = Box::new(Method::new(OTHER_METHODS));
        Self { service, methods: [const { OnceLock::new() }; MAX_METHODS], others }
    }

    /// The place of a method that was counted before.
    pub(super) fn place(&self, method: &str) -> Place {
        let mut methods = self.methods.iter().map_while(OnceLock::get);
        Place(methods.position(|known| *known.name == *method))
    }

    /// Counts a call among those in flight, until `end` with the same place.
    pub(super) fn begin(&self, place: Place) {
        self.method(place).in_flight.fetch_add(1, Relaxed);
    }

    pub(super) fn end(&self, place: Place) {
        self.method(place).in_flight.fetch_sub(1, Relaxed);
    }

    /// Counts a call. `answered` is the name of its method, if that had no place when it began and the handler has answered.
    pub(super) fn count(&self, place: Place, answered: Option<&str>, code: Code, took: Duration) {
        let method = match (place.0, answered) {
            (Some(index), _) => self.methods[index].get().map(|method| &**method),
            (None, Some(name)) if code != Code::Unimplemented => self.learn(name),
            (None, _) => None,
        };
        method.unwrap_or(&self.others).count(code, took);
    }

    /// The name of the method at a place.
    pub(super) fn name(&self, place: Place) -> Option<&str> {
        Some(&self.methods[place.0?].get()?.name)
    }

    fn method(&self, place: Place) -> &Method {
        place.0.and_then(|index| self.methods[index].get()).unwrap_or(&self.others)
    }

    fn learn(&self, name: &str) -> Option<&Method> {
        let mut places =
            self.methods.iter().map(|place| &**place.get_or_init(|| Box::new(Method::new(name))));
        places.find(|method| *method.name == *name)
    }
}

// === impl Place ===

impl Place {
    pub(super) fn is_known(self) -> bool {
        self.0.is_some()
    }
}

// === impl Method ===

impl Method {
    fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            codes: [const { AtomicU64::new(0) }; CODES],
            buckets: [const { AtomicU64::new(0) }; BUCKETS.len() + 1],
            nanos: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
        }
    }

    fn count(&self, code: Code, took: Duration) {
        let bucket = BUCKETS.iter().position(|bound| took <= *bound).unwrap_or(BUCKETS.len());
        self.codes[code as usize].fetch_add(1, Relaxed);
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    fn add_to(&self, total: &mut Total) {
        for (sum, count) in total.codes.iter_mut().zip(&self.codes) {
            *sum += count.load(Relaxed);
        }
        for ((_, sum), count) in total.buckets.iter_mut().zip(&self.buckets) {
            *sum += count.load(Relaxed);
        }
        total.seconds += Duration::from_nanos(self.nanos.load(Relaxed)).as_secs_f64();
        total.in_flight += self.in_flight.load(Relaxed);
    }
}

// === impl Total ===

impl Total {
    fn new(service: &'static str, method: &str) -> Self {
        let bounds = BUCKETS.iter().map(Duration::as_secs_f64).chain([f64::INFINITY]);
        let buckets = bounds.map(|bound| (bound, 0)).collect();
        Self { service, method: method.to_owned(), codes: [0; CODES], buckets, seconds: 0.0, in_flight: 0 }
    }

    /// Sums up what runtimes counted; methods that nobody called are left out.
    pub(super) fn of(figures: &[Arc<Figures>]) -> Vec<Self> {
        let mut totals: Vec<Self> = Vec::new();
        for figures in figures {
            let methods = figures.methods.iter().map_while(OnceLock::get).chain([&figures.others]);
            for method in methods {
                let same = |total: &Self| total.service == figures.service && *total.method == *method.name;
                let index = totals.iter().position(same).unwrap_or_else(|| {
                    totals.push(Self::new(figures.service, &method.name));
                    totals.len() - 1
                });
                method.add_to(&mut totals[index]);
            }
        }
        totals.retain(|total| total.calls() + total.in_flight > 0);
        totals
    }

    /// How many calls ended.
    pub(crate) fn calls(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    fn count(figures: &Figures, method: &str, code: Code, took: Duration) {
        figures.count(figures.place(method), Some(method), code, took);
    }

    #[test]
    fn what_runtimes_counted_is_summed_by_method_and_code() {
        let figures = [(); 2].map(|()| Arc::new(Figures::new("test.Script")));
        count(&figures[0], "Say", Code::Ok, MILLISECOND);
        count(&figures[1], "Tell", Code::Cancelled, 10 * MILLISECOND);
        count(&figures[1], "Say", Code::Ok, MILLISECOND);
        count(&figures[1], "Say", Code::NotFound, 10_000 * MILLISECOND);
        let totals = Total::of(&figures);
        let said = &totals[0];
        assert_eq!((said.service, said.method.as_str(), said.calls()), ("test.Script", "Say", 3));
        assert_eq!((said.codes[Code::Ok as usize], said.codes[Code::NotFound as usize]), (2, 1));
        assert_eq!((said.buckets[4], said.buckets[12]), ((0.001, 2), (f64::INFINITY, 1)));
        assert!((said.seconds - 10.002).abs() < 1e-9, "{}", said.seconds);
        assert_eq!((totals[1].method.as_str(), totals.len()), ("Tell", 2));
    }

    #[test]
    fn a_call_is_in_flight_from_its_beginning_to_its_end_under_the_name_that_is_known_then() {
        let figures = Arc::new(Figures::new("test.Script"));
        let in_flight = || -> Vec<_> {
            let totals = Total::of(std::slice::from_ref(&figures));
            totals.into_iter().map(|total| (total.method, total.in_flight)).collect()
        };
        let first = figures.place("Say");
        figures.begin(first);
        assert_eq!(in_flight(), [(OTHER_METHODS.to_owned(), 1)]);
        figures.count(first, Some("Say"), Code::Ok, MILLISECOND);
        figures.end(first);
        let second = figures.place("Say");
        figures.begin(second);
        assert_eq!(in_flight(), [("Say".to_owned(), 1)]);
        figures.end(second);
        assert_eq!(in_flight(), [("Say".to_owned(), 0)]);
    }

    #[test]
    fn names_that_callers_make_up_get_no_place_however_many_there_are() {
        let figures = Arc::new(Figures::new("test.Script"));
        for n in 0..1_000 {
            count(&figures, &format!("Made{n}"), Code::Unimplemented, MILLISECOND);
        }
        count(&figures, "Say", Code::Ok, MILLISECOND);
        let totals = Total::of(std::slice::from_ref(&figures));
        let names: Vec<_> = totals.iter().map(|total| (total.method.as_str(), total.calls())).collect();
        assert_eq!(names, [("Say", 1), (OTHER_METHODS, 1_000)]);
    }

    #[test]
    fn one_method_more_than_there_are_places_is_counted_with_the_others() {
        let figures = Arc::new(Figures::new("test.Script"));
        for n in 0..=MAX_METHODS {
            count(&figures, &format!("Method{n}"), Code::Ok, MILLISECOND);
        }
        let totals = Total::of(&[figures]);
        assert_eq!(totals.len(), MAX_METHODS + 1);
        assert_eq!(totals.last().map(|total| total.method.as_str()), Some(OTHER_METHODS));
    }
}
