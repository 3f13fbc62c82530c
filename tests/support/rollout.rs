//! A Deployment without a cluster: its pods are processes, found ready by probes, told of and replaced as Kubernetes does it,
//! with the times of the manifests.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use nix::sys::signal::Signal;
use tokio::sync::{Semaphore, watch};
use tokio::task::AbortHandle;
use tokio::time::{interval, sleep, timeout};
use tonic::transport::Endpoint;
use tonic_health::pb::health_check_response::ServingStatus;

use super::port::Port;
use super::process::Service;
use super::timing::Timing;
use super::{PATIENCE, clients};

/// Pods of each service, as in overlays/prod.
pub const PODS: u8 = 3;

/// What a Deployment's pods run, and what their probes ask.
pub struct Template {
    pub command: Box<dyn Fn() -> Command>,
    pub flags: Vec<String>,
    /// The name by which readiness asks for health.
    pub service: &'static str,
    pub timing: Timing,
}

/// See the module.
pub struct Deployment {
    template: Template,
    pods: Vec<Pod>,
    /// Where those that replace them will be: a new pod has a new address.
    successors: Vec<Place>,
    /// Who is ready, as those who call have heard.
    endpoints: watch::Sender<Vec<SocketAddr>>,
}

/// A process that is probed. Killed when dropped.
struct Pod {
    service: Service,
    place: Place,
    kubelet: AbortHandle,
}

struct Place {
    listen: Port,
    admin: Port,
}

/// What probes a pod, and tells when that changes whether it is ready.
struct Kubelet {
    serving: SocketAddr,
    admin: Endpoint,
    service: &'static str,
    timing: Timing,
    endpoints: watch::Sender<Vec<SocketAddr>>,
}

// === impl Deployment ===

impl Deployment {
    /// With all its pods ready, and all who call knowing them.
    pub async fn start(template: Template) -> Self {
        let places = Port::reserve_on_each(2 * PODS).into_iter().zip(Port::reserve_on_each(2 * PODS));
        let mut places: Vec<_> = places.map(|(listen, admin)| Place { listen, admin }).collect();
        let successors = places.split_off(PODS.into());
        let endpoints = watch::Sender::default();
        let mut deployment = Self { template, pods: Vec::new(), successors, endpoints };
        let pods = join_all(places.into_iter().map(|place| deployment.add(place))).await;
        deployment.pods = pods;
        let mut told = deployment.endpoints();
        let all = told.wait_for(|endpoints| endpoints.len() == usize::from(PODS));
        timeout(PATIENCE, all).await.expect("all are ready").expect("the sender is here");
        deployment
    }

    /// Who is ready, as those who call hear of it.
    pub fn endpoints(&self) -> watch::Receiver<Vec<SocketAddr>> {
        self.endpoints.subscribe()
    }

    /// The port of all of them.
    pub fn port(&self) -> u16 {
        self.pods.first().expect("there are some").service.address.port()
    }

    /// Its processes.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.pods.iter().map(|pod| &pod.service)
    }

    /// Their metrics pages.
    pub fn pages(&self) -> impl Iterator<Item = SocketAddr> {
        self.pods.iter().map(|pod| pod.place.admin.address)
    }

    /// Replaces each pod: one new at a time is not yet ready (maxSurge 1), and with each that is an old one ends
    /// (maxUnavailable 0). Those that end are not waited for before the next one starts. Can be done once.
    pub async fn roll(&mut self) {
        let (old, successors) = (std::mem::take(&mut self.pods), std::mem::take(&mut self.successors));
        let surge = Semaphore::new(1);
        let replacing = old.into_iter().zip(successors).map(async |(old, place)| {
            let turn = surge.acquire().await.expect("it stays open");
            let new = self.add(place).await;
            drop(turn);
            self.end(old).await;
            new
        });
        self.pods = join_all(replacing).await;
    }

    /// A pod that its kubelet has found ready.
    async fn add(&self, place: Place) -> Pod {
        let Template { command, flags, service, timing } = &self.template;
        let admin = place.admin.address.to_string();
        let flags: Vec<_> = flags.iter().map(String::as_str).chain(["--admin-listen", &admin]).collect();
        let process = Service::start_command(command(), Some(place.listen.address), &flags).await;
        let kubelet = Kubelet {
            serving: process.address,
            admin: Endpoint::from_shared(format!("http://{admin}")).expect("an address is a URL"),
            service,
            timing: *timing,
            endpoints: self.endpoints.clone(),
        };
        let (found, mut is_ready) = watch::channel(false);
        let kubelet = tokio::spawn(kubelet.probe(found)).abort_handle();
        let ready = timeout(PATIENCE, is_ready.wait_for(|is_ready| *is_ready)).await;
        ready.expect("the pod is ready").expect("its kubelet goes on");
        Pod { service: process, place, kubelet }
    }

    /// It leaves the endpoints, and ends in time, whoever has heard of it.
    async fn end(&self, pod: Pod) {
        pod.kubelet.abort();
        let leaves = tell(&self.endpoints, pod.service.address, false, self.template.timing.propagation);
        tokio::join!(leaves, self.terminate(pod));
    }

    async fn terminate(&self, mut pod: Pod) {
        let Timing { pre_stop, grace, drain, .. } = self.template.timing;
        sleep(pre_stop).await;
        let told = Instant::now();
        pod.service.signal(Signal::SIGTERM);
        assert_eq!(pod.service.ended().await.code(), Some(0));
        let took = told.elapsed();
        println!("{} ended {took:?} after SIGTERM", pod.service.address);
        assert!(took < drain, "a drain has {drain:?}");
        assert!(pre_stop + took < grace, "then comes SIGKILL");
        assert_eq!(pod.service.calls_cut(), 0);
    }
}

// === impl Kubelet ===

impl Kubelet {
    async fn probe(self, found: watch::Sender<bool>) {
        let mut ticks = interval(self.timing.probe_period);
        let (mut is_ready, mut failures) = (false, 0);
        loop {
            ticks.tick().await;
            failures = if self.serves().await { 0 } else { failures + 1 };
            let was_ready = is_ready;
            is_ready = failures == 0 || (was_ready && failures < self.timing.probe_failures);
            if is_ready != was_ready {
                found.send_replace(is_ready);
                tell(&self.endpoints, self.serving, is_ready, self.timing.propagation).await;
            }
        }
    }

    async fn serves(&self) -> bool {
        let health = clients::health_over(self.admin.connect_lazy(), self.service);
        matches!(timeout(self.timing.probe_timeout, health).await, Ok(Ok(ServingStatus::Serving)))
    }
}

/// Has those who call hear of it, which takes its time.
async fn tell(
    endpoints: &watch::Sender<Vec<SocketAddr>>,
    address: SocketAddr,
    is_ready: bool,
    after: Duration,
) {
    sleep(after).await;
    endpoints.send_modify(|endpoints| {
        endpoints.retain(|endpoint| *endpoint != address);
        endpoints.extend(is_ready.then_some(address));
    });
}

impl Drop for Pod {
    fn drop(&mut self) {
        self.kubelet.abort();
    }
}
