//! Samples and what is told of them.

use serde::Serialize;

/// One measurement under one load. What does not apply is `null` in JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Row {
    /// `family/what`, such as `cycle/actors`.
    pub name: String,
    /// `idle`, `loaded`, `loaded_same_runtime`, or `10x` of an overload.
    pub load: String,
    /// How many samples.
    pub n: usize,
    /// Median, µs.
    pub p50_us: f64,
    /// 99th percentile, µs.
    pub p99_us: f64,
    /// 99.9th percentile, µs.
    pub p999_us: f64,
    /// The longest, µs.
    pub max_us: f64,
    /// Allocations on the control thread per cycle, in the steady state.
    pub allocs_per_cycle: Option<f64>,
}

/// Latencies, all of them. Recording allocates only beyond the capacity that was asked for.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<i64>);

impl Samples {
    /// Room for so many.
    #[must_use]
    pub fn with_capacity(samples: usize) -> Self {
        Self(Vec::with_capacity(samples))
    }

    /// Records a latency, ns.
    pub fn push(&mut self, latency_ns: i64) {
        self.0.push(latency_ns);
    }

    /// Records all of another's.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The row of these samples; `None` where there are none.
    ///
    /// A percentile is the least sample that is not below that share of all of them (nearest rank): of fewer than 1000
    /// samples the 99.9th is the longest.
    #[must_use]
    pub fn row(mut self, name: &str, load: &str, allocs_per_cycle: Option<f64>) -> Option<Row> {
        self.0.sort_unstable();
        let n = self.0.len();
        let at = |per_mille: usize| {
            let rank = (n * per_mille).div_ceil(1000).max(1);
            self.0.get(rank - 1).map(|ns| *ns as f64 / 1e3)
        };
        Some(Row {
            name: name.to_owned(),
            load: load.to_owned(),
            n,
            p50_us: at(500)?,
            p99_us: at(990)?,
            p999_us: at(999)?,
            max_us: at(1000)?,
            allocs_per_cycle,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples_and_the_longest_is_never_trimmed() {
        let mut samples = Samples::default();
        (1..=1000).rev().for_each(|k| samples.push(k * 1000));
        samples.push(9_000_000);
        let row = samples.row("cycle/x", "idle", Some(0.0)).unwrap();
        assert_eq!((row.n, row.p50_us, row.p99_us, row.p999_us, row.max_us), (1001, 501.0, 991.0, 1000.0, 9000.0));
        let mut one = Samples::default();
        one.push(7000);
        let row = one.row("x", "idle", None).unwrap();
        assert_eq!((row.p50_us, row.p999_us, row.max_us), (7.0, 7.0, 7.0));
        assert!(Samples::default().row("x", "idle", None).is_none());
    }
}
