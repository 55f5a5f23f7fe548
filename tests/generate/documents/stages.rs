//! Draws the stages of a check, in the order of the program's own list.

use std::fmt::Write as _;

use acr_verifier::observation::{Endpoint, Stage};

use crate::File;

const PICTURE: &str = "docs/images/how-it-works.svg";
const STYLE: &str = "\
text { font-family: sans-serif; font-size: 13px; fill: #24292f } .h { font-weight: bold } .s { font-size: 11px; fill: #57606a } \
.bg { fill: #fff } .name { fill: #f6f8fa; stroke: #d0d7de } .checked { fill: #ddf4ff; stroke: #54aeff } \
.result { fill: #dafbe1; stroke: #4ac26b } .line { fill: none; stroke: #57606a; stroke-width: 1.5 } .head { fill: #57606a } \
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .s { fill: #9198a1 } .bg { fill: #0d1117 } \
.name { fill: #151b23; stroke: #3d444d } .checked { fill: #121d2f; stroke: #1f6feb } .result { fill: #12261e; stroke: #238636 } \
.line { stroke: #9198a1 } .head { fill: #9198a1 } }";
const WIDTH: f64 = 920.0;
const HEIGHT: f64 = 312.0;
const BOX: (f64, f64) = (112.0, 62.0);
/// Distance between the left edges of two boxes.
const STEP: f64 = 126.0;
const LEFT: f64 = 24.0;
const ROWS: [f64; 2] = [62.0, 202.0];

/// The criterion of a stage, in two lines that fit into its box.
const fn criterion(stage: Stage) -> [&'static str; 2] {
    match stage {
        Stage::Dns => ["A and AAAA at", "every nameserver"],
        Stage::Address => ["every answer", "is private"],
        Stage::Connect => ["TCP to a", "checked address"],
        Stage::Tls => ["real name,", "trusted root"],
        Stage::Challenge => ["token service is", "the login server"],
        Stage::Token => ["credentials", "may pull"],
        Stage::Manifest => ["by tag, then", "by digest"],
        Stage::Blob => ["one blob,", "right digest"],
    }
}

/// The endpoint as the picture names it.
const fn endpoint_name(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Login => "login server, such as contoso.azurecr.io",
        Endpoint::Data => "data endpoint, to which the registry redirects the blob",
    }
}

/// Draws the picture as it is generated now.
pub(super) fn file() -> File {
    let mut body = String::new();
    for (endpoint, y) in Endpoint::ALL.into_iter().zip(ROWS) {
        text(&mut body, "h", (LEFT, y - 34.0), endpoint_name(endpoint));
        for (column, stage) in Stage::of(endpoint).iter().enumerate() {
            stage_box(&mut body, (LEFT + STEP * column as f64, y), *stage);
            if column > 0 {
                arrow(&mut body, LEFT + STEP * column as f64, y + BOX.1 / 2.0);
            }
        }
        text(&mut body, "s", (LEFT, y - 12.0), "nothing is sent to the registry yet");
        text(&mut body, "s", (LEFT + 2.0 * STEP, y - 12.0), "only to the addresses that were checked");
    }
    // From the last stage of the login server to the first of the data endpoint.
    let last = LEFT + STEP * (Stage::of(Endpoint::Login).len() - 1) as f64 + BOX.0 / 2.0;
    let (from, to) = (ROWS[0] + BOX.1, ROWS[1] + BOX.1 / 2.0);
    let middle = from + 15.0;
    writeln!(body, "<path class=\"line\" d=\"M{last} {from}V{middle}H10V{to}H{}\"/>", LEFT - 6.0)
        .expect("memory");
    arrow(&mut body, LEFT, to);
    let columns = Stage::of(Endpoint::Data).len() as f64;
    let (x, y) = (LEFT + STEP * columns, ROWS[1]);
    arrow(&mut body, x, y + BOX.1 / 2.0);
    rect(&mut body, "result", (x, y), (STEP + BOX.0, BOX.1));
    text(&mut body, "h", (x + 9.0, y + 19.0), "verdict");
    text(&mut body, "s", (x + 9.0, y + 37.0), "pass, warn, fail or unknown,");
    text(&mut body, "s", (x + 9.0, y + 52.0), "with cause, remedy and commands");
    text(
        &mut body,
        "s",
        (LEFT, HEIGHT - 18.0),
        "The first stage that fails ends the check; all causes that were found are reported.",
    );
    let svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-labelledby=\"title \
         desc\">\n<title id=\"title\">The stages of a check</title>\n<desc id=\"desc\">{}</desc>\n<style>{STYLE}</style>\n\
         <rect class=\"bg\" width=\"100%\" height=\"100%\"/>\n{body}</svg>\n",
        description()
    );
    File::new(PICTURE, svg)
}

/// The picture in words.
fn description() -> String {
    let list =
        |endpoint| Stage::of(endpoint).iter().map(|stage| stage.as_str()).collect::<Vec<_>>().join(", ");
    format!(
        "At the login server: {}. Then at the data endpoint: {}. Nothing is sent to an address before the stage address has \
         found it to be private.",
        list(Endpoint::Login),
        list(Endpoint::Data)
    )
}

fn stage_box(body: &mut String, (x, y): (f64, f64), stage: Stage) {
    let class = if matches!(stage, Stage::Dns | Stage::Address) { "name" } else { "checked" };
    rect(body, class, (x, y), BOX);
    text(body, "h", (x + 9.0, y + 19.0), stage.as_str());
    for (line, words) in criterion(stage).into_iter().enumerate() {
        text(body, "s", (x + 9.0, y + 37.0 + 15.0 * line as f64), words);
    }
}

fn rect(body: &mut String, class: &str, (x, y): (f64, f64), (width, height): (f64, f64)) {
    writeln!(
        body,
        "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"6\"/>"
    )
    .expect("memory");
}

fn text(body: &mut String, class: &str, (x, y): (f64, f64), words: &str) {
    writeln!(body, "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{words}</text>").expect("memory");
}

/// Draws the head of an arrow that ends at the left edge of a box, with its line from the box before.
fn arrow(body: &mut String, x: f64, y: f64) {
    let (from, neck) = (x - STEP + BOX.0, x - 7.0);
    if from > LEFT {
        writeln!(body, "<path class=\"line\" d=\"M{from} {y}H{neck}\"/>").expect("memory");
    }
    writeln!(body, "<path class=\"head\" d=\"M{x} {y}L{neck} {}V{}Z\"/>", y - 4.0, y + 4.0).expect("memory");
}
