//! The times that the manifests give Kubernetes for a pod's beginning and end, so that a story keeps what a cluster would.

use std::time::Duration;

const SETTINGS: &str = include_str!("../../k8s/base/kustomization.yaml");
const PRODUCT: &str = include_str!("../../k8s/base/product.yaml");
const DELIVERY: &str = include_str!("../../k8s/base/delivery.yaml");

/// How long it takes until those who call have heard of a change of the endpoints: less than the preStop sleep, which is there
/// for that, and more than a cluster that is well needs.
const PROPAGATION: Duration = Duration::from_secs(3);

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Between two readiness probes.
    pub probe_period: Duration,
    /// How long one waits for its answer.
    pub probe_timeout: Duration,
    /// So many in a row take a pod out of the endpoints.
    pub probe_failures: u32,
    /// Until all who call know of a change of the endpoints.
    pub propagation: Duration,
    /// What passes between the end that was decided and SIGTERM.
    pub pre_stop: Duration,
    /// From the end that was decided to SIGKILL.
    pub grace: Duration,
    /// What the program is given for its drain.
    pub drain: Duration,
}

// === impl Timing ===

impl Timing {
    /// Of Product's pods.
    pub fn of_product() -> Self {
        Self::read(PRODUCT, "product-settings")
    }

    /// Of Delivery's pods.
    pub fn of_delivery() -> Self {
        Self::read(DELIVERY, "delivery-settings")
    }

    fn read(manifest: &str, settings: &str) -> Self {
        let replaced = (number(manifest, &["maxSurge:"]), number(manifest, &["maxUnavailable:"]));
        assert_eq!(replaced, (1, 0), "what Deployment::roll does");
        let seconds = |way: &[&str]| Duration::from_secs(number(manifest, way).into());
        let drain = number(SETTINGS, &[settings, "CANDELIVER_DRAIN_SECONDS="]);
        Self {
            probe_period: seconds(&["readinessProbe:", "periodSeconds:"]),
            probe_timeout: seconds(&["readinessProbe:", "timeoutSeconds:"]),
            probe_failures: number(manifest, &["readinessProbe:", "failureThreshold:"]),
            propagation: PROPAGATION,
            pre_stop: seconds(&["preStop:", "seconds:"]),
            grace: seconds(&["terminationGracePeriodSeconds:"]),
            drain: Duration::from_secs(drain.into()),
        }
    }
}

/// The number that comes after some words, one after the other.
fn number(text: &str, way: &[&str]) -> u32 {
    let rest = way.iter().try_fold(text, |rest, word| Some(rest.split_once(word)?.1));
    let rest = rest.unwrap_or_else(|| panic!("{way:?} is in the manifests")).trim_start();
    let digits = rest.split(|letter: char| !letter.is_ascii_digit()).next().unwrap_or_default();
    digits.parse().unwrap_or_else(|_| panic!("{way:?} is a number"))
}
