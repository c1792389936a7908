//! What the node counts, read from its metrics.
//!
//! Source: the text format of Prometheus, version 0.0.4.

use std::collections::BTreeMap;

/// Numbers by name; those of one name with different labels are added up.
pub(in super::super) type Counters = BTreeMap<String, f64>;

/// The counters and gauges in a page of metrics. Histograms are left out: their buckets are of no use without their bounds.
pub(in super::super) fn counters_in(page: &str) -> Counters {
    let mut counters = Counters::new();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let Some((series, value)) = line.rsplit_once(' ') else { continue };
        let name = series.split_once('{').map_or(series, |(name, _)| name);
        let is_of_histogram = ["_bucket", "_sum", "_count"].iter().any(|end| name.ends_with(end));
        if let Ok(value) = value.parse::<f64>()
            && !is_of_histogram
        {
            *counters.entry(name.to_owned()).or_default() += value;
        }
    }
    counters
}

#[cfg(test)]
mod tests {
    use super::{Counters, counters_in};

    #[test]
    fn numbers_of_one_name_are_added_up() {
        let page = "# HELP stored Envelopes.\n# TYPE stored counter\nstored{log=\"room\"} 3\nstored{log=\"mailbox\"} 4\n\
                    open 2\ncommit_seconds_bucket{le=\"0.1\"} 9\ncommit_seconds_sum 1.5\ncommit_seconds_count 9\n";
        assert_eq!(counters_in(page), Counters::from([("stored".to_owned(), 7.0), ("open".to_owned(), 2.0)]));
        assert_eq!(counters_in("<html>not metrics</html>"), Counters::new());
    }
}
