//! The kinds of numbers that a node shows, and how they are written down: name, labels and documentation in one place.
//!
//! A counter or histogram without labels is a handle that is registered when the node starts; so are those that hold one of
//! a family's ([`Family::of`]). Counting with a handle is one atomic addition: no lookup, no allocation.

use core::cell::Cell;
use core::marker::PhantomData;
use std::sync::Arc;

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder, SharedString};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusRecorder};

/// The numbers of one node. Each node has its own, also in one process: nothing here is global.
#[derive(Clone, Debug)]
pub(super) struct Registry(pub(super) Arc<PrometheusRecorder>);

impl Registry {
    pub(super) fn new() -> Self {
        let builder = PrometheusBuilder::new().set_buckets(&COUNTS);
        let builder =
            builder.and_then(|it| it.set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS));
        // It fails for an empty list alone, and would show quantiles then.
        Self(Arc::new(builder.unwrap_or_default().build_recorder()))
    }
}

/// A handle of one number.
pub(super) trait Handle: Sized {
    fn describe(registry: &Registry, name: &'static str, help: &'static str);

    /// The handle of a number, the same one for the same key.
    fn of(registry: &Registry, key: &Key) -> Self;
}

impl Handle for Counter {
    fn describe(registry: &Registry, name: &'static str, help: &'static str) {
        registry.0.describe_counter(name.into(), None, help.into());
    }

    fn of(registry: &Registry, key: &Key) -> Self {
        registry.0.register_counter(key, &METADATA)
    }
}

impl Handle for Gauge {
    fn describe(registry: &Registry, name: &'static str, help: &'static str) {
        registry.0.describe_gauge(name.into(), None, help.into());
    }

    fn of(registry: &Registry, key: &Key) -> Self {
        registry.0.register_gauge(key, &METADATA)
    }
}

impl Handle for Histogram {
    fn describe(registry: &Registry, name: &'static str, help: &'static str) {
        registry.0.describe_histogram(name.into(), None, help.into());
    }

    fn of(registry: &Registry, key: &Key) -> Self {
        registry.0.register_histogram(key, &METADATA)
    }
}

/// What stands in a group: one number, or a family of them.
pub(super) trait Instrument {
    fn register(registry: &Registry, name: &'static str, help: &'static str, labels: &'static [&'static str]) -> Self;
}

impl<T: Handle> Instrument for T {
    fn register(registry: &Registry, name: &'static str, help: &'static str, _: &'static [&'static str]) -> Self {
        T::describe(registry, name, help);
        T::of(registry, &Key::from_static_name(name))
    }
}

/// Numbers of one name, one for each set of labels. A label has few values, which are no ids and nobody's data.
#[derive(Clone, Debug)]
pub struct Family<T> {
    registry: Registry,
    name: &'static str,
    labels: &'static [&'static str],
    kind: PhantomData<T>,
}

#[expect(private_bounds, reason = "the kinds of numbers are those above")]
impl<T: Handle> Family<T> {
    /// The number with these labels, in the order of the family's. It is looked up: what counts each message keeps it.
    #[must_use]
    pub fn of<const N: usize>(&self, values: [impl Into<SharedString>; N]) -> T {
        debug_assert_eq!(N, self.labels.len(), "labels of {}", self.name);
        let labels = self.labels.iter().zip(values).map(|(label, value)| Label::new(*label, value));
        T::of(&self.registry, &Key::from_parts(self.name, labels.collect::<Vec<_>>()))
    }
}

impl<T: Handle> Instrument for Family<T> {
    fn register(registry: &Registry, name: &'static str, help: &'static str, labels: &'static [&'static str]) -> Self {
        T::describe(registry, name, help);
        Self { registry: registry.clone(), name, labels, kind: PhantomData }
    }
}

/// What one of many adds to a gauge of the node: a room to what all rooms have waiting. It is taken back when this is
/// dropped, also by a panic.
#[derive(Debug)]
pub struct Share {
    gauge: Gauge,
    amount: Cell<usize>,
}

impl Share {
    /// Nothing so far.
    #[must_use]
    pub const fn of(gauge: Gauge) -> Self {
        Self { gauge, amount: Cell::new(0) }
    }

    /// So much from now on.
    pub fn set(&self, amount: usize) {
        let before = self.amount.replace(amount);
        if amount >= before {
            self.gauge.increment(as_f64(amount - before));
        } else {
            self.gauge.decrement(as_f64(before - amount));
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// A count as gauges have it: exact up to 2^32.
pub(super) fn as_f64(count: usize) -> f64 {
    u32::try_from(count).unwrap_or(u32::MAX).into()
}

/// Defines a group of numbers: a struct of handles, each with its name, its labels, and its documentation, which is also
/// what the node says of it (`# HELP`).
macro_rules! group {
    ($(#[doc = $about:literal])+ $group:ident {
        $($(#[doc = $doc:literal])+ $field:ident: $kind:ty = $name:literal $([$($label:literal),+])?;)+
    }) => {
        $(#[doc = $about])+
        #[derive(Debug)]
        pub struct $group {
            $($(#[doc = $doc])+ pub $field: $kind,)+
        }

        impl $group {
            fn register(registry: &Registry) -> Self {
                Self {
                    $($field: <$kind as Instrument>::register(
                        registry,
                        $name,
                        concat!($($doc),+).trim_ascii(),
                        &[$($($label),+)?],
                    ),)+
                }
            }
        }
    };
}
pub(super) use group;

/// The library sorts numbers by where they come from, and does nothing with it.
const METADATA: Metadata<'_> = Metadata::new("conclave", Level::INFO, None);

/// Upper bounds of what histograms count in seconds: each twice the one before, up to half a minute.
const SECONDS: [f64; 18] = [
    0.000_25, 0.000_5, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.0, 2.0, 4.0, 8.0, 16.0,
    32.0,
];

/// Upper bounds of what they count in things.
const COUNTS: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];
