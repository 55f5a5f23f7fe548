//! Draws the main panels of the overview for the README, since no Grafana runs here.
//!
//! Titles, words and colours come from the dashboard, values from the results of its queries. Grafana may draw them
//! differently.

use std::fmt::Write as _;

use serde_json::Value;

use super::overview::overview;
use super::thousand::answers;
use super::{Answer, Query};
use crate::File;

/// The file.
pub const PICTURE: &str = "dashboards/pictures/overview.svg";
const STYLE: &str = "\
text { font-family: sans-serif; font-size: 12px; fill: #24292f } .h { font-weight: bold } .s { fill: #57606a; font-size: 11px } \
.b { font-size: 22px; font-weight: bold; fill: #fff } .w { fill: #fff; font-size: 11px } .t { font-size: 9px } .bg { fill: #fff } .c { fill: #f6f8fa; stroke: #d0d7de } \
.green { fill: #2da44e } .yellow { fill: #bf8700 } .blue { fill: #0969da } .red { fill: #cf222e } \
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .s { fill: #9198a1 } .bg { fill: #0d1117 } \
.c { fill: #151b23; stroke: #3d444d } .b, .w { fill: #fff } .green { fill: #238636 } .yellow { fill: #9e6a03 } \
.blue { fill: #1f6feb } .red { fill: #da3633 } }";
const WIDTH: f64 = 1000.0;
/// The colour and word of each verdict, by number.
const VERDICTS: [(&str, &str); 4] =
    [("green", "pass"), ("yellow", "warn"), ("blue", "unknown"), ("red", "fail")];

struct Canvas {
    svg: String,
}

impl Canvas {
    fn rect(&mut self, class: &str, (x, y): (f64, f64), (width, height): (f64, f64)) {
        writeln!(
            self.svg,
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>"
        )
        .expect("memory");
    }

    fn text(&mut self, class: &str, (x, y): (f64, f64), text: &str) {
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        writeln!(self.svg, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>")
            .expect("memory");
    }

    /// Draws the frame and title of a panel.
    fn card(&mut self, at: (f64, f64), size: (f64, f64), title: &str) {
        self.rect("c", at, size);
        self.text("h", (at.0 + 10.0, at.1 + 18.0), title);
    }

    /// Draws the labels of the time axis.
    fn times(&mut self, (x, y): (f64, f64), width: f64) {
        self.text("s", (x, y), "2 h ago");
        self.text("s", (x + width / 2.0 - 20.0, y), "1 h ago");
        self.text("s", (x + width - 24.0, y), "now");
    }
}

/// Draws the overview as it is generated now, for the simulated fleet.
pub fn file() -> File {
    let dashboard = overview();
    let (answers, (since, until, _)) = answers(&dashboard);
    File::new(PICTURE, draw(&dashboard, &answers, (since, until)))
}

/// Draws the overview from the results of its queries between two times.
pub fn draw(dashboard: &Value, answers: &[(Query, Answer)], times: (f64, f64)) -> String {
    let of = |panel: &str| {
        let found = answers.iter().find(|(query, _)| query.panel == panel);
        &found.unwrap_or_else(|| panic!("no panel {panel}")).1
    };
    let mut canvas = Canvas { svg: String::new() };
    tiles(&mut canvas, dashboard, answers);
    causes(&mut canvas, of("Problems by cause"));
    by_verdict(&mut canvas, of("Nodes by verdict"), times);
    timeline(&mut canvas, of("Verdicts of nodes with a problem"), times);
    let body = canvas.svg;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} 754\" role=\"img\" aria-label=\"The \
         overview dashboard for a fleet of 1,000 nodes\">\n<style>{STYLE}</style>\n<rect class=\"bg\" width=\"100%\" \
         height=\"100%\"/>\n{body}</svg>\n"
    )
}

/// Draws the numbers of the first row, coloured by the thresholds of the panels.
fn tiles(canvas: &mut Canvas, dashboard: &Value, answers: &[(Query, Answer)]) {
    let panels = dashboard["panels"].as_array().expect("panels");
    for (number, (query, answer)) in answers.iter().take(8).enumerate() {
        let panel = panels.iter().find(|panel| panel["title"] == query.panel.as_str()).expect("its panel");
        let defaults = &panel["fieldConfig"]["defaults"];
        let value = answer.first().map(|(_, samples)| samples[0].1);
        let steps = defaults["thresholds"]["steps"].as_array().expect("thresholds");
        let passed = |step: &&Value| {
            step["value"].as_f64().is_none_or(|from| value.is_some_and(|value| value >= from))
        };
        let colour = steps.iter().rfind(passed).and_then(|step| step["color"].as_str()).unwrap_or("blue");
        let shown = match value {
            Some(value) if query.unit == "percentunit" => format!("{:.1} %", value * 100.0),
            Some(value) => format!("{value}"),
            None => defaults["noValue"].as_str().unwrap_or_default().to_owned(),
        };
        let x = 10.0 + 123.0 * number as f64;
        canvas.rect(if value.is_some() { colour } else { "c" }, (x, 10.0), (119.0, 68.0));
        let (small, large) = if value.is_some() { ("w", "b") } else { ("s", "t") };
        for (line, words) in textwrap::wrap(&query.panel, 18).iter().enumerate() {
            canvas.text(small, (x + 6.0, 26.0 + 13.0 * line as f64), words);
        }
        canvas.text(large, (x + 6.0, 66.0), &shown);
    }
}

fn causes(canvas: &mut Canvas, answer: &Answer) {
    canvas.card((10.0, 84.0), (485.0, 180.0), "Problems by cause");
    let columns =
        [(20.0, "severity"), (90.0, "cause"), (240.0, "endpoint"), (310.0, "stage"), (380.0, "registry")];
    for (x, label) in columns {
        canvas.text("s", (x, 126.0), label);
    }
    canvas.text("s", (455.0, 126.0), "nodes");
    for (number, (metric, samples)) in answer.iter().enumerate() {
        let y = 148.0 + 22.0 * number as f64;
        for (x, label) in columns {
            let text = metric[label].as_str().unwrap_or_default();
            // The column is narrow; every registry has this suffix.
            let text = text.strip_suffix(".azurecr.io").unwrap_or(text);
            canvas.text("", (x, y), text);
        }
        canvas.text("", (455.0, y), &format!("{}", samples[0].1));
    }
}

fn by_verdict(canvas: &mut Canvas, answer: &Answer, (since, until): (f64, f64)) {
    let (left, top, width, height) = (515.0, 112.0, 465.0, 116.0);
    canvas.card((505.0, 84.0), (485.0, 180.0), "Nodes by verdict");
    let mut moments: Vec<f64> =
        answer.iter().flat_map(|(_, samples)| samples.iter().map(|(at, _)| *at)).collect();
    moments.sort_by(f64::total_cmp);
    moments.dedup();
    let count = |verdict: usize, moment: f64| {
        let number = verdict.to_string();
        let series = answer.iter().find(|(metric, _)| metric["verdict"] == number.as_str());
        let samples = series.map(|(_, samples)| samples.as_slice()).unwrap_or_default();
        samples.iter().find(|(at, _)| (at - moment).abs() < 1.0).map_or(0.0, |(_, value)| *value)
    };
    let most =
        moments.iter().map(|at| (0..4).map(|verdict| count(verdict, *at)).sum::<f64>()).fold(1.0, f64::max);
    let bar = width / moments.len() as f64;
    for at in &moments {
        let x = left + (at - since) / (until - since) * (width - bar);
        let mut y = top + height;
        for (verdict, (colour, _)) in VERDICTS.iter().enumerate() {
            let part = count(verdict, *at) / most * height;
            y -= part;
            if part > 0.0 {
                canvas.rect(colour, (x, y), (bar + 0.2, part));
            }
        }
    }
    canvas.times((left, 242.0), width);
    for (number, (colour, word)) in VERDICTS.iter().enumerate() {
        let x = 715.0 + 70.0 * number as f64;
        canvas.rect(colour, (x, 93.0), (9.0, 9.0));
        canvas.text("s", (x + 13.0, 102.0), word);
    }
    canvas.text("s", (left, 257.0), &format!("{most} nodes high"));
}

fn timeline(canvas: &mut Canvas, answer: &Answer, (since, until): (f64, f64)) {
    let (left, width, row) = (215.0, 765.0, 10.6);
    canvas.card((10.0, 274.0), (980.0, 470.0), "Verdicts of nodes with a problem");
    for (number, (metric, samples)) in answer.iter().enumerate() {
        let y = 300.0 + row * number as f64;
        let node = metric["node"].as_str().unwrap_or_default();
        canvas.text("t", (20.0, y + 8.0), node);
        let step = width / samples.len() as f64;
        let place = |at: f64| left + (at - since) / (until - since) * (width - step);
        // One rectangle per run of equal values.
        let mut samples = samples.iter().peekable();
        while let Some(&(begin, value)) = samples.next() {
            let mut last = begin;
            while let Some(&&(at, _)) = samples.peek().filter(|(_, next)| (next - value).abs() < 0.5) {
                last = at;
                samples.next();
            }
            let colour =
                VERDICTS.iter().enumerate().find(|(verdict, _)| (*verdict as f64 - value).abs() < 0.5);
            let colour = colour.map_or("c", |(_, (colour, _))| *colour);
            canvas.rect(colour, (place(begin), y), (place(last) - place(begin) + step, row - 1.6));
        }
    }
    canvas.times((left, 738.0), width);
}
