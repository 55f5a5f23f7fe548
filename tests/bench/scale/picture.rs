//! Draws the day, minute by minute: requests at the busiest registry, Events, and nodes that report a failure.

use std::fmt::Write as _;

use crate::day::{self, DAY, PHASES};
use crate::outcomes::Requests;
use crate::record::Day;
use crate::table::{READS, READS_OF_IDENTITY};
use crate::tally::Minute;

const STYLE: &str = "\
text { font-family: sans-serif; font-size: 12px; fill: #24292f } .h { font-size: 14px; font-weight: bold } \
.s { fill: #57606a; font-size: 11px } .e { text-anchor: end } .m { text-anchor: middle } .bg { fill: #fff } \
.axis { stroke: #8c959f; stroke-width: 1 } .grid { stroke: #d8dee4; stroke-width: 0.5 } \
.limit { stroke: #cf222e; stroke-width: 1.5; stroke-dasharray: 6 3 } .l { fill: #cf222e; font-size: 11px } \
.event { stroke: #8c959f; stroke-width: 1; stroke-dasharray: 2 3 } .dot { fill: #57606a } .n { fill: #fff; font-size: 10px; font-weight: bold; text-anchor: middle } \
.a { fill: #0969da } .b { fill: #54aeff } .c { fill: #8250df } .d { fill: #bf8700 } .f { fill: #cf222e } \
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .s { fill: #9198a1 } .bg { fill: #0d1117 } .axis { stroke: #656c76 } \
.grid { stroke: #2a313c } .limit { stroke: #f85149 } .l { fill: #f85149 } .event { stroke: #656c76 } .dot { fill: #9198a1 } .n { fill: #0d1117 } \
.a { fill: #1f6feb } .b { fill: #79c0ff } .c { fill: #a371f7 } .d { fill: #d29922 } .f { fill: #f85149 } }";

const WIDTH: f64 = 1000.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = 972.0;

/// A panel of the picture: an axis with a unit, and stacked areas.
struct Panel {
    title: &'static str,
    unit: &'static str,
    top: f64,
    height: f64,
    most: f64,
    step: f64,
}

impl Panel {
    fn y(&self, value: f64) -> f64 {
        self.top + self.height * (1.0 - value / self.most)
    }
}

/// A value per minute with its label.
struct Area {
    class: &'static str,
    word: &'static str,
    of: fn(&Minute) -> f64,
}

/// Returns the requests of the busiest registry in a minute.
fn busiest(minute: &Minute) -> Requests {
    minute.requests.into_iter().max_by_key(|requests| requests.all()).unwrap_or_default()
}

struct Canvas(String);

impl Canvas {
    fn add(&mut self, line: &str) {
        writeln!(self.0, "{line}").expect("memory");
    }

    fn text(&mut self, class: &str, (x, y): (f64, f64), text: &str) {
        self.add(&format!("<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>"));
    }

    fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let ((x1, y1), (x2, y2)) = (from, to);
        self.add(&format!(
            "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
        ));
    }

    fn panel(&mut self, panel: &Panel) {
        self.text("h", (LEFT, panel.top - 14.0), panel.title);
        let mut value = 0.0;
        while value <= panel.most {
            let y = panel.y(value);
            self.line(if value > 0.0 { "grid" } else { "axis" }, (LEFT, y), (RIGHT, y));
            self.text("s e", (LEFT - 6.0, y + 4.0), &thousands(value));
            value += panel.step;
        }
        self.line("axis", (LEFT, panel.top), (LEFT, panel.top + panel.height));
        let middle = panel.top + panel.height / 2.0;
        self.add(&format!(
            "<text class=\"s m\" transform=\"translate(16 {middle:.1}) rotate(-90)\">{}</text>",
            panel.unit
        ));
        let bottom = panel.top + panel.height;
        for hour in (0..=24).step_by(2) {
            let x = x(f64::from(hour) * 3600.0);
            self.line("axis", (x, bottom), (x, bottom + 4.0));
            self.text("s m", (x, bottom + 16.0), &format!("{hour:02}:00"));
        }
    }

    /// Draws the areas, the first at the bottom, and the legend to the right of the title.
    fn areas(&mut self, panel: &Panel, minutes: &[Minute], areas: &[Area]) {
        // Each area extends to the axis, and lower ones are drawn over it.
        for count in (1..=areas.len()).rev() {
            let heights: Vec<String> = minutes
                .iter()
                .map(|minute| {
                    let sum = areas[..count].iter().map(|area| (area.of)(minute)).sum();
                    format!("{:.1}", panel.y(sum))
                })
                .collect();
            let mut path = format!("M{:.1} {:.1}", at(0), panel.y(0.0));
            for (number, height) in heights.iter().enumerate() {
                // A point within a level line is redundant.
                let is_level = |other: Option<&String>| other == Some(height);
                let before = number.checked_sub(1).and_then(|before| heights.get(before));
                if !(is_level(before) && is_level(heights.get(number + 1))) {
                    write!(path, "L{:.1} {height}", at(number)).expect("memory");
                }
            }
            let end = (at(minutes.len() - 1), panel.y(0.0));
            self.add(&format!(
                "<path class=\"{}\" d=\"{path}L{:.1} {:.1}Z\"/>",
                areas[count - 1].class,
                end.0,
                end.1
            ));
        }
        let mut left = RIGHT;
        for area in areas.iter().rev() {
            left -= 24.0 + 6.0 * area.word.len() as f64;
            let y = panel.top - 22.0;
            self.add(&format!(
                "<rect class=\"{}\" x=\"{left:.1}\" y=\"{y:.1}\" width=\"9\" height=\"9\"/>",
                area.class
            ));
            self.text("s", (left + 13.0, panel.top - 14.0), area.word);
        }
    }

    fn limit(&mut self, panel: &Panel, value: f64, words: &str) {
        let y = panel.y(value);
        self.line("limit", (LEFT, y), (RIGHT, y));
        self.text("l", (LEFT + 8.0, y - 5.0), words);
    }

    /// Draws the numbered phases, with a line through each panel.
    fn phases(&mut self, top: f64, panels: &[&Panel]) {
        for (number, phase) in PHASES.iter().enumerate() {
            let x = x(phase.from);
            for panel in panels {
                self.line("event", (x, panel.top), (x, panel.top + panel.height));
            }
            self.add(&format!("<circle class=\"dot\" cx=\"{x:.1}\" cy=\"{top:.1}\" r=\"8\"/>"));
            self.text("n", (x, top + 3.5), &(number + 1).to_string());
        }
    }
}

fn thousands(value: f64) -> String {
    let value = value as u32;
    if value < 1000 { value.to_string() } else { format!("{},{:03}", value / 1000, value % 1000) }
}

fn x(seconds: f64) -> f64 {
    LEFT + seconds / DAY * (RIGHT - LEFT)
}

fn at(minute: usize) -> f64 {
    x(minute as f64 * 60.0)
}

/// Draws a whole day.
pub(crate) fn draw(day: &Day) -> String {
    let minutes = &day.tally.0;
    let mut canvas = Canvas(String::new());
    canvas.text("h", (LEFT, 26.0), "A day of 5,000, then 6,000 nodes and 3 registries, with fleetSize: 6000");
    let words = "simulated by the program's own schedule; each point is a minute";
    canvas.text("s", (LEFT, 44.0), words);

    let requests = Panel {
        title: "Requests at the busiest registry",
        unit: "requests a minute",
        top: 98.0,
        height: 240.0,
        most: 22_000.0,
        step: 4000.0,
    };
    canvas.panel(&requests);
    let areas = [
        Area { class: "a", word: "manifests", of: |minute| f64::from(busiest(minute).manifests) },
        Area { class: "b", word: "blobs", of: |minute| f64::from(busiest(minute).blobs) },
        Area { class: "c", word: "challenge", of: |minute| f64::from(busiest(minute).challenge) },
        Area { class: "d", word: "token", of: |minute| f64::from(busiest(minute).oauth) },
    ];
    canvas.areas(&requests, minutes, &areas);
    canvas.limit(
        &requests,
        f64::from(READS),
        "documented limit of a Premium registry: reads, and tokens as well",
    );
    canvas.limit(&requests, f64::from(READS_OF_IDENTITY), "documented limit of one identity: reads");
    canvas.limit(&requests, f64::from(READS) / 5.0, "a fifth of the registry's limit, for all but tokens");

    let events = Panel {
        title: "Kubernetes Events written",
        unit: "Events a minute",
        top: 404.0,
        height: 110.0,
        most: 2000.0,
        step: 500.0,
    };
    canvas.panel(&events);
    let areas = [
        Area { class: "a", word: "new", of: |minute| f64::from(minute.created) },
        Area { class: "d", word: "renewed after an hour", of: |minute| f64::from(minute.renewed) },
    ];
    canvas.areas(&events, minutes, &areas);

    let failing = Panel {
        title: "Nodes whose last check failed, of the registry with most of them",
        unit: "nodes",
        top: 580.0,
        height: 110.0,
        most: 6000.0,
        step: 2000.0,
    };
    canvas.panel(&failing);
    let most = |minute: &Minute| f64::from(minute.failing.into_iter().max().unwrap_or_default());
    canvas.areas(&failing, minutes, &[Area { class: "f", word: "failing", of: most }]);

    canvas.phases(66.0, &[&requests, &events, &failing]);
    for (number, phase) in PHASES.iter().enumerate() {
        let (column, row) = (number % 3, number / 3);
        let (x, y) = (LEFT + 310.0 * column as f64, 732.0 + 20.0 * row as f64);
        canvas.add(&format!("<circle class=\"dot\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"8\"/>", x, y - 4.0));
        canvas.text("n", (x, y - 0.5), &(number + 1).to_string());
        canvas.text("", (x + 14.0, y), phase.name);
    }
    canvas.text("s", (x(day::SMOKE) + 10.0, requests.y(7000.0)), "checks on demand");
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} 810\" role=\"img\" aria-label=\"Requests, Events \
         and failing nodes over a day of a large fleet\">\n<style>{STYLE}</style>\n<rect class=\"bg\" width=\"100%\" \
         height=\"100%\"/>\n{}</svg>\n",
        canvas.0
    )
}
