//! Who may call what, and how much: one table for a server, from its access file. What it does not name is refused.

mod quota;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use http::HeaderMap;
use prost::Message;
use prost_types::FileDescriptorSet;
use serde::Deserialize;
use thiserror::Error;
use tokio::time::Instant;
use tonic::Code;
use tonic_health::pb::health_server::SERVICE_NAME as HEALTH;
use tonic_reflection::pb::v1::server_reflection_server::SERVICE_NAME as REFLECTION;
use tonic_reflection::pb::v1alpha::server_reflection_server::SERVICE_NAME as REFLECTION_ALPHA;

use crate::identity::Identity;
use crate::status::Failure;
use quota::Quota;
pub(crate) use quota::{Entered, Refused};

/// Whom a quota is for that stands for all others: no identity is written so.
const EVERYBODY_ELSE: &str = "*";

/// The table: what may be called, by whom, and how much.
#[derive(Clone, Debug)]
pub struct Access {
    lines: Vec<Line>,
    /// Who has none may take what the process has.
    quotas: BTreeMap<Identity, Arc<Quota>>,
}

/// Who may call one rpc, or a service with all its rpcs.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    service: String,
    /// `None`: all.
    method: Option<String>,
    identities: Vec<Identity>,
}

/// What is wrong with an access file.
#[derive(Debug, Error)]
pub enum AccessError {
    /// It can't be read.
    #[error("{0}")]
    Unreadable(#[from] std::io::Error),
    /// It is not TOML, or not of this form.
    #[error("{0}")]
    Malformed(#[from] toml::de::Error),
    /// It allows nothing at all.
    #[error("[allow] is empty, so that nobody could call anything")]
    Empty,
    /// It names what this server does not have.
    #[error("[allow] names what this server does not have: {unknown}; it has {known}")]
    Unknown {
        /// What it names.
        unknown: String,
        /// The services that may be named.
        known: String,
    },
    /// It names somebody who can't be.
    #[error("{0}")]
    Identity(String),
    /// It limits somebody by nothing, or by too little or too much, or somebody who may not call anything.
    #[error("[limits.{name:?}] {problem}")]
    Limits {
        /// Whom.
        name: String,
        /// What is wrong.
        problem: String,
    },
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    allow: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    limits: BTreeMap<String, quota::Written>,
}

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
pub(crate) enum Caller {
    /// Callers need not say who they are.
    Anybody,
    /// One that has shown no certificate.
    Nobody(Arc<Access>),
    /// One whose certificate names it, or, `None`, names nobody.
    Known(Arc<Access>, Option<Identity>),
}

/// What the caller of one connection may do, looked up once; a clone costs nothing.
#[derive(Clone, Debug)]
pub(crate) struct Grants(Option<Arc<Granted>>);

#[derive(Debug)]
struct Granted {
    has_certificate: bool,
    identity: Option<Identity>,
    /// Of each service, in the order in which they were asked for.
    services: Vec<Grant>,
    quota: Option<Arc<Quota>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Grant {
    Everything,
    /// These methods; none, if it is empty.
    Methods(Vec<String>),
}

// === impl Access ===

impl Access {
    /// The table in a file; it may name the services of `file_descriptor_sets`.
    pub(crate) fn read(path: &Path, file_descriptor_sets: &[&[u8]]) -> Result<Self, AccessError> {
        Self::parse(&fs::read_to_string(path)?, file_descriptor_sets)
    }

    fn parse(text: &str, file_descriptor_sets: &[&[u8]]) -> Result<Self, AccessError> {
        let written: Written = toml::from_str(text)?;
        if written.allow.is_empty() {
            return Err(AccessError::Empty);
        }
        let services = services(file_descriptor_sets);
        let (mut lines, mut unknown) = (Vec::new(), Vec::new());
        for (name, identities) in written.allow {
            let (service, method) = match name.split_once('/') {
                Some((service, method)) => (service, Some(method)),
                None => (name.as_str(), None),
            };
            let methods = services.get(service);
            let is_known = methods
                .is_some_and(|methods| method.is_none_or(|method| methods.iter().any(|m| m == method)));
            if !is_known {
                unknown.push(name);
                continue;
            }
            let identities = identities.iter().map(|text| Identity::parse(text)).collect::<Result<_, _>>();
            let identities = identities.map_err(AccessError::Identity)?;
            lines.push(Line { service: service.to_owned(), method: method.map(str::to_owned), identities });
        }
        if !unknown.is_empty() {
            let known = services.into_keys().collect::<Vec<_>>().join(", ");
            return Err(AccessError::Unknown { unknown: unknown.join(", "), known });
        }
        let quotas = quotas(&lines, written.limits)?;
        Ok(Self { lines, quotas })
    }

    /// What an identity may call of a service.
    fn grant(&self, service: &str, identity: &Identity) -> Grant {
        let mut methods = Vec::new();
        for line in
            self.lines.iter().filter(|line| line.service == service && line.identities.contains(identity))
        {
            match &line.method {
                None => return Grant::Everything,
                Some(method) => methods.push(method.clone()),
            }
        }
        Grant::Methods(methods)
    }

    /// Whether an identity may call anything.
    fn names(&self, identity: &Identity) -> bool {
        self.lines.iter().any(|line| line.identities.contains(identity))
    }

    /// How many calls were refused because their callers had reached their limits; `None`: nobody has any.
    pub(crate) fn refused(&self) -> Option<Refused> {
        let refused = self.quotas.values().map(|quota| quota.refused());
        refused.reduce(|sum, one| Refused {
            in_flight: sum.in_flight + one.in_flight,
            per_second: sum.per_second + one.per_second,
        })
    }
}

/// A quota of its own for each identity that has a line, or, if there is one for everybody else, that may call anything.
fn quotas(
    lines: &[Line],
    mut written: BTreeMap<String, quota::Written>,
) -> Result<BTreeMap<Identity, Arc<Quota>>, AccessError> {
    let problem = |name: &str, problem: String| AccessError::Limits { name: name.to_owned(), problem };
    for (name, quota) in &written {
        quota.problem().map_or(Ok(()), |told| Err(problem(name, told)))?;
    }
    let everybody_else = written.remove(EVERYBODY_ELSE);
    let mut limits = BTreeMap::new();
    for identity in lines.iter().flat_map(|line| &line.identities) {
        limits.extend(everybody_else.map(|quota| (identity.clone(), quota)));
    }
    for (name, quota) in written {
        let identity = Identity::parse(&name).map_err(AccessError::Identity)?;
        if !lines.iter().any(|line| line.identities.contains(&identity)) {
            return Err(problem(&name, "limits somebody whom [allow] does not name".to_owned()));
        }
        limits.insert(identity, quota);
    }
    let quota = |(identity, quota): (Identity, _)| (identity.clone(), Arc::new(Quota::new(identity, quota)));
    Ok(limits.into_iter().map(quota).collect())
}

/// The services of some encoded descriptors, each with its methods.
fn services(file_descriptor_sets: &[&[u8]]) -> BTreeMap<String, Vec<String>> {
    let sets = file_descriptor_sets.iter().filter_map(|encoded| FileDescriptorSet::decode(*encoded).ok());
    let files = sets.flat_map(|set| set.file);
    let services = files.flat_map(|file| {
        let package = file.package.unwrap_or_default();
        file.service.into_iter().map(move |service| {
            let name = format!("{package}.{}", service.name.unwrap_or_default());
            (name, service.method.into_iter().filter_map(|method| method.name).collect())
        })
    });
    services.collect()
}

// === impl Caller ===

impl Caller {
    /// What it may call of some services.
    pub(crate) fn grants<'a>(self, services: impl Iterator<Item = &'a str>) -> Grants {
        let (access, has_certificate, identity) = match self {
            Self::Anybody => return Grants::everything(),
            Self::Nobody(access) => (access, false, None),
            Self::Known(access, identity) => (access, true, identity),
        };
        let grant = |service: &str| match (service, &identity) {
            // Open to everybody: a probe has no certificate, and learns nothing but whether this serves.
            (HEALTH, _) => Grant::Everything,
            // What there is, is of use to whoever may call any of it.
            (REFLECTION | REFLECTION_ALPHA, Some(identity)) if access.names(identity) => Grant::Everything,
            (_, Some(identity)) => access.grant(service, identity),
            (_, None) => Grant::Methods(Vec::new()),
        };
        let services = services.map(grant).collect();
        let quota = identity.as_ref().and_then(|identity| access.quotas.get(identity).cloned());
        Grants(Some(Arc::new(Granted { has_certificate, identity, services, quota })))
    }
}

// === impl Grants ===

impl Grants {
    /// No caller is refused anything.
    pub(crate) fn everything() -> Self {
        Self(None)
    }

    /// Whether a method of a service, by its place among those asked for, may be called.
    pub(crate) fn allow(&self, service: usize, method: &str) -> bool {
        let Some(granted) = &self.0 else { return true };
        match granted.services.get(service) {
            Some(Grant::Everything) => true,
            Some(Grant::Methods(methods)) => methods.iter().any(|allowed| allowed == method),
            None => false,
        }
    }

    /// Takes the right to one more call, of all that this caller makes.
    ///
    /// # Errors
    /// The caller has reached its limits: the headers are the call's whole answer.
    pub(crate) fn enter(&self) -> Result<Entered, HeaderMap> {
        match self.0.as_ref().and_then(|granted| granted.quota.as_ref()) {
            Some(quota) => quota.enter(Instant::now),
            None => Ok(Entered::freely()),
        }
    }

    /// Who calls, if that is known.
    pub(crate) fn identity(&self) -> Option<Identity> {
        self.0.as_ref()?.identity.clone()
    }

    /// What a call is answered that is not allowed.
    pub(crate) fn refusal(&self) -> Failure {
        let granted = self.0.as_ref();
        let denied = |message| Failure::new(Code::PermissionDenied, "PERMISSION_DENIED", message);
        match granted.and_then(|granted| granted.identity.as_ref()) {
            Some(identity) => {
                denied(format!("{identity} may not call this")).metadata("identity", identity.as_str())
            }
            None if granted.is_some_and(|granted| granted.has_certificate) => {
                denied("the certificate names nobody: it needs one SPIFFE id, or a DNS name".to_owned())
            }
            None => {
                let message = "this call needs a client certificate (mutual TLS), and there was none";
                Failure::new(Code::Unauthenticated, "UNAUTHENTICATED", message)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use prost_types::{FileDescriptorProto, MethodDescriptorProto, ServiceDescriptorProto};

    use super::*;

    /// A server with test.Shop, which has Buy and Sell.
    fn parse(text: &str) -> Result<Access, AccessError> {
        let method = |name: &str| MethodDescriptorProto { name: Some(name.to_owned()), ..Default::default() };
        let service = ServiceDescriptorProto {
            name: Some("Shop".to_owned()),
            method: vec![method("Buy"), method("Sell")],
            ..Default::default()
        };
        let package = Some("test".to_owned());
        let file = FileDescriptorProto { package, service: vec![service], ..Default::default() };
        Access::parse(text, &[&FileDescriptorSet { file: vec![file] }.encode_to_vec()])
    }

    fn grants(access: &str, identity: Option<&str>) -> Grants {
        let identity = identity.map(|text| Identity::parse(text).unwrap());
        let caller = Caller::Known(Arc::new(parse(access).unwrap()), identity);
        caller.grants(["test.Shop", HEALTH, REFLECTION, "test.Unlisted"].into_iter())
    }

    #[test]
    fn a_service_is_all_its_methods_and_a_method_is_itself() {
        let access =
            "[allow]\n\"test.Shop\" = [\"owner\"]\n\"test.Shop/Buy\" = [\"spiffe://a/guest\", \"owner\"]";
        let (owner, guest) = (grants(access, Some("owner")), grants(access, Some("spiffe://a/guest")));
        assert!(owner.allow(0, "Buy") && owner.allow(0, "Sell"));
        assert!(guest.allow(0, "Buy") && !guest.allow(0, "Sell"));
        assert!(!owner.allow(3, "Buy"), "what no line names is nobody's");
    }

    #[test]
    fn health_is_everybodys_and_reflection_theirs_who_may_call_anything() {
        let access = "[allow]\n\"test.Shop/Buy\" = [\"guest\"]";
        let (guest, other, nameless) =
            (grants(access, Some("guest")), grants(access, Some("other")), grants(access, None));
        let reflects = |grants: &Grants| grants.allow(2, "ServerReflectionInfo");
        assert!([&guest, &other, &nameless].iter().all(|grants| grants.allow(1, "Check")));
        assert_eq!([&guest, &other, &nameless].map(reflects), [true, false, false]);
        assert!(!other.allow(0, "Buy") && !nameless.allow(0, "Buy"));
    }

    #[test]
    fn a_name_that_the_server_does_not_have_is_told_with_those_that_it_has() {
        let error =
            parse("[allow]\n\"test.Shop/Bye\" = []\n\"test.Shpo\" = []\n\"test.Shop\" = []").unwrap_err();
        assert_eq!(
            error.to_string(),
            "[allow] names what this server does not have: test.Shop/Bye, test.Shpo; it has test.Shop"
        );
    }

    #[test]
    fn each_caller_has_limits_of_its_own_by_its_line_or_by_that_for_everybody_else() {
        let allow = "[allow]\n\"test.Shop\" = [\"owner\", \"guest\", \"other\"]\n";
        let limits = "[limits.owner]\ncalls_per_second = 3\n[limits.\"*\"]\ncalls_in_flight = 1\n";
        let access = Arc::new(parse(&format!("{allow}{limits}")).unwrap());
        let entered = |name: &str| {
            let caller = Caller::Known(Arc::clone(&access), Identity::parse(name).ok());
            let grants = caller.grants(["test.Shop"].into_iter());
            let entered: Vec<_> = (0..5).filter_map(|_| grants.enter().ok()).collect();
            entered.len()
        };
        assert_eq!(["owner", "guest", "other"].map(entered), [3, 1, 1]);
        assert_eq!(entered("guest"), 1, "what ended is given back");
        assert_eq!(access.refused(), Some(Refused { in_flight: 12, per_second: 2 }));
        let free = Arc::new(parse(&format!("{allow}[limits.owner]\ncalls_per_second = 3")).unwrap());
        let guest = Caller::Known(free, Identity::parse("guest").ok()).grants([].into_iter());
        assert!((0..100).all(|_| guest.enter().is_ok()));
        assert_eq!(parse(allow).unwrap().refused(), None);
    }

    #[test]
    fn a_slip_of_the_pen_is_no_access_file() {
        for bad in [
            "",
            "[allow]",
            "[alow]\n\"test.Shop\" = []",
            "[allow]\n\"test.Shop\" = \"owner\"",
            "[allow]\n\"test.Shop\" = [\"*\"]",
            "[allow]\n\"test.Shop\" = [\"\"]",
            "[allow]\n\"test.Shop\" = []\n[deny]",
            "[allow]\n\"test.Shop\" = [\"owner\"]\n[limits.owner]",
            "[allow]\n\"test.Shop\" = [\"owner\"]\n[limits.owner]\ncalls_per_second = 0",
            "[allow]\n\"test.Shop\" = [\"owner\"]\n[limits.owner]\ncalls_in_flight = 1000001",
            "[allow]\n\"test.Shop\" = [\"owner\"]\n[limits.owner]\ncalls_per_minute = 5",
            "[allow]\n\"test.Shop\" = [\"owner\"]\n[limits.guest]\ncalls_per_second = 5",
            "[allow]\n\"test.Shop\" = [\"owner\"]\n[limits.\"no body\"]\ncalls_per_second = 5",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
