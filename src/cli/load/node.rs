//! The node, seen from outside: what its process uses, and what it counts.

use core::error::Error;
use core::time::Duration;

use super::args::LoadArgs;
use super::usage::{Counters, Process, Usage, counters_in, listener_of};

/// How long the node may take to show what it has counted.
const METRICS_WAIT_MAX: Duration = Duration::from_secs(10);

/// The node that is under load.
pub(super) struct WatchedNode {
    process: Option<Process>,
    metrics: Option<Metrics>,
}

/// Where its metrics are.
struct Metrics {
    http: reqwest::Client,
    url: String,
}

/// The metrics are not where they were said to be.
#[derive(Debug, thiserror::Error)]
#[error("no metrics at --metrics-url: {cause}")]
pub(super) struct NoMetrics {
    cause: String,
}

impl Metrics {
    async fn page(&self) -> Result<String, reqwest::Error> {
        let answer = self.http.get(&self.url).timeout(METRICS_WAIT_MAX).send().await?;
        answer.error_for_status()?.text().await
    }
}

impl WatchedNode {
    /// The process that was named, or who listens on the port of the URL where that is this machine's.
    pub(super) fn find(args: &LoadArgs, url: &str) -> Self {
        let process = args.node_pid.map(Process::of).or_else(|| listener_of(local_port(url)?));
        let metrics = args.metrics_url.clone().map(|url| Metrics { http: reqwest::Client::new(), url });
        Self { process, metrics }
    }

    /// What its process has used; none if it is not on this machine.
    pub(super) fn usage(&self) -> Option<Usage> {
        self.process?.usage()
    }

    /// What it has counted; nothing where that was not asked for.
    ///
    /// # Errors
    /// If the metrics are not where they were said to be.
    pub(super) async fn counters(&self) -> Result<Counters, NoMetrics> {
        let Some(metrics) = &self.metrics else { return Ok(Counters::new()) };
        let page = metrics.page().await.map_err(|error| NoMetrics { cause: root_cause(&error).to_string() })?;
        Ok(counters_in(&page))
    }
}

/// What an error began with: libraries say first what they were about, and last what stood against it.
pub(super) fn root_cause<'error>(error: &'error (dyn Error + 'static)) -> &'error (dyn Error + 'static) {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause
}

/// How much counters have grown. What did not grow is left out, as are numbers that say how things stand.
pub(super) fn growth(before: &Counters, after: &Counters) -> Counters {
    let grown = after.iter().filter(|(name, _)| name.ends_with("_total")).filter_map(|(name, after)| {
        let grown = after - before.get(name).copied().unwrap_or_default();
        (grown > 0.0).then(|| (name.clone(), grown))
    });
    grown.collect()
}

/// The port of a URL, if its host is this machine by its name or address.
fn local_port(url: &str) -> Option<u16> {
    let url = reqwest::Url::parse(url).ok()?;
    let host = url.host_str()?.trim_matches(['[', ']']);
    let is_local = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    is_local.then(|| url.port_or_known_default()).flatten()
}

#[cfg(test)]
mod tests {
    use super::{Counters, growth, local_port};

    #[test]
    fn only_what_this_machine_listens_on_is_looked_for() {
        assert_eq!(local_port("http://127.0.0.1:7400"), Some(7_400));
        assert_eq!(local_port("http://[::1]:7400/x"), Some(7_400));
        assert_eq!(local_port("https://localhost"), Some(443));
        assert_eq!(local_port("https://node.example:7400"), None);
        assert_eq!(local_port("7400"), None);
    }

    #[test]
    fn counters_are_shown_as_far_as_they_grew() {
        let of = |pairs: &[(&str, f64)]| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect::<Counters>()
        };
        let before = of(&[("stored_total", 5.0), ("idle_total", 1.0), ("open", 1.0)]);
        let after = of(&[("stored_total", 9.0), ("idle_total", 1.0), ("open", 7.0), ("new_total", 2.0)]);
        assert_eq!(growth(&before, &after), of(&[("new_total", 2.0), ("stored_total", 4.0)]));
    }
}
