//! Gauges that have only the label sets of the latest run.
//!
//! Owns their handles: removing all of them and creating most again costs more than everything else that is recorded.

use prometheus::{Gauge, GaugeVec};

/// A family of gauges whose label sets disappear unless the run reports them again.
pub(super) struct CurrentGauges {
    family: GaugeVec,
    /// As few as the budget of series allows, so a search is cheaper than a hash.
    known: Vec<Known>,
}

struct Known {
    labels: Vec<String>,
    gauge: Gauge,
    is_reported: bool,
}

impl CurrentGauges {
    /// Returns a family without gauges.
    pub(super) const fn new(family: GaugeVec) -> Self {
        Self { family, known: Vec::new() }
    }

    /// Starts a run: no gauge is reported yet.
    pub(super) fn begin(&mut self) {
        for known in &mut self.known {
            known.is_reported = false;
        }
    }

    /// Returns the gauge of these labels; it is 0 when the run reports it for the first time.
    pub(super) fn at(&mut self, labels: &[&str]) -> &Gauge {
        let place = self.known.iter().position(|known| known.labels == labels).unwrap_or_else(|| {
            let gauge = self.family.with_label_values(labels);
            let labels = labels.iter().map(|label| (*label).to_owned()).collect();
            self.known.push(Known { labels, gauge, is_reported: false });
            self.known.len() - 1
        });
        let known = &mut self.known[place];
        if !std::mem::replace(&mut known.is_reported, true) {
            known.gauge.set(0.0);
        }
        &known.gauge
    }

    /// Ends a run: removes the gauges that it did not report.
    pub(super) fn end(&mut self) {
        let Self { family, known } = self;
        known.retain(|known| {
            if !known.is_reported {
                family.remove_label_values(&known.labels).expect("every known gauge is in its family");
            }
            known.is_reported
        });
    }
}
