//! Builds panels and dashboards as Grafana JSON (classic schema 39).
//!
//! Owns what all panels share: the data source, the grid, colours and the minimum step. `overview.rs` and `node.rs` have the
//! queries and descriptions.

use serde_json::{Map, Value, json};

/// The minimum step: the usual scrape interval. Grafana sets `$__rate_interval` to four times this, so a rate finds samples
/// regardless of the configuration of the data source.
const MIN_STEP: &str = "1m";
/// Columns of Grafana's grid.
const COLUMNS: u64 = 24;

pub(super) const GREEN: &str = "green";
pub(super) const YELLOW: &str = "yellow";
pub(super) const BLUE: &str = "blue";
pub(super) const RED: &str = "red";

/// A panel without its position.
#[derive(Debug, Clone)]
pub(super) struct Panel {
    json: Value,
    width: u64,
    height: u64,
}

pub fn datasource() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

impl Panel {
    fn new(kind: &str, title: &str, description: &str, size: (u64, u64), options: &Value) -> Self {
        let json = json!({
            "type": kind,
            "title": title,
            "description": description,
            "datasource": datasource(),
            "fieldConfig": {"defaults": {"unit": "short"}, "overrides": []},
            "options": options,
            "targets": [],
        });
        Self { json, width: size.0, height: size.1 }
    }

    /// A row heading that collapses the panels below it.
    pub(super) fn row(title: &str) -> Self {
        let json = json!({"type": "row", "title": title, "collapsed": false, "panels": []});
        Self { json, width: COLUMNS, height: 1 }
    }

    /// Collapses a row: Grafana queries its panels only once it is opened.
    pub(super) fn collapsed(mut self) -> Self {
        self.json["collapsed"] = true.into();
        self
    }

    /// Replaces every query.
    pub(super) fn queries(mut self, replace: impl Fn(&str) -> String) -> Self {
        for target in self.json["targets"].as_array_mut().into_iter().flatten() {
            target["expr"] = replace(target["expr"].as_str().unwrap_or_default()).into();
        }
        self
    }

    /// One number, or one for each series.
    pub(super) fn stat(title: &str, description: &str, expression: &str) -> Self {
        let options = json!({
            "colorMode": "background", "graphMode": "none", "justifyMode": "auto", "orientation": "auto",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": false},
            "textMode": "auto", "wideLayout": true, "showPercentChange": false,
            "percentChangeColorMode": "standard",
        });
        Self::new("stat", title, description, (3, 4), &options).instant(expression, "__auto", "time_series")
    }

    /// A table of current values with a row per series.
    pub(super) fn table(title: &str, description: &str, expression: &str) -> Self {
        let options = json!({"cellHeight": "sm", "showHeader": true,
            "footer": {"show": false, "reducer": ["sum"], "countRows": false, "fields": ""}});
        Self::new("table", title, description, (12, 8), &options).instant(expression, "__auto", "table")
    }

    /// A time series.
    pub(super) fn curves(title: &str, description: &str) -> Self {
        let options = json!({"legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": true},
            "tooltip": {"mode": "multi", "sort": "desc"}});
        let custom = json!({"drawStyle": "line", "lineWidth": 1, "fillOpacity": 10, "showPoints": "never",
            "spanNulls": false, "axisSoftMin": 0});
        Self::new("timeseries", title, description, (12, 8), &options).field("custom", custom)
    }

    /// A row for each series, coloured by its value.
    pub(super) fn timeline(title: &str, description: &str) -> Self {
        let options = json!({"alignValue": "left", "mergeValues": true, "rowHeight": 0.8, "showValue": "never",
            "legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": true},
            "tooltip": {"mode": "single", "sort": "none"}});
        Self::new("state-timeline", title, description, (24, 10), &options)
            .field("custom", json!({"fillOpacity": 80, "lineWidth": 0, "spanNulls": false}))
    }

    /// A row for each series with a cell for each step.
    pub(super) fn history(title: &str, description: &str) -> Self {
        let options = json!({"colWidth": 0.9, "rowHeight": 0.8, "showValue": "never",
            "legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": true},
            "tooltip": {"mode": "single", "sort": "none"}});
        Self::new("status-history", title, description, (12, 8), &options)
            .field("custom", json!({"fillOpacity": 80, "lineWidth": 0}))
    }

    /// The distribution of durations over the buckets of a histogram.
    pub(super) fn heatmap(title: &str, description: &str, expression: &str) -> Self {
        let options = json!({
            "calculate": false, "cellGap": 1, "cellValues": {"unit": "short"},
            "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64, "exponent": 0.5, "fill": "dark-orange",
                "scale": "exponential", "reverse": false},
            "exemplars": {"color": "rgba(255,0,255,0.7)"}, "filterValues": {"le": 1e-9},
            "legend": {"show": true}, "rowsFrame": {"layout": "auto"}, "showValue": "never",
            "tooltip": {"mode": "single", "yHistogram": false, "showColorScale": false},
            "yAxis": {"axisPlacement": "left", "reverse": false, "unit": "s"},
        });
        Self::new("heatmap", title, description, (12, 8), &options).range_as(expression, "{{le}}", "heatmap")
    }

    /// A Markdown text.
    pub(super) fn text(title: &str, description: &str, content: &str) -> Self {
        let options = json!({"mode": "markdown", "content": content,
            "code": {"language": "plaintext", "showLineNumbers": false, "showMiniMap": false}});
        let mut panel = Self::new("text", title, description, (12, 8), &options);
        for key in ["targets", "fieldConfig"] {
            panel.object().remove(key);
        }
        panel
    }

    /// Adds a query over the time range of the dashboard.
    pub(super) fn range(self, expression: &str, legend: &str) -> Self {
        self.range_as(expression, legend, "time_series")
    }

    fn range_as(self, expression: &str, legend: &str, format: &str) -> Self {
        self.target(json!({"expr": expression, "legendFormat": legend, "format": format, "instant": false,
            "range": true, "interval": MIN_STEP}))
    }

    /// Adds an instant query at the end of the time range.
    pub(super) fn instant(self, expression: &str, legend: &str, format: &str) -> Self {
        self.target(json!({"expr": expression, "legendFormat": legend, "format": format, "instant": true,
            "range": false, "interval": MIN_STEP}))
    }

    fn target(mut self, mut target: Value) -> Self {
        let targets = self.json["targets"].as_array_mut().expect("a list");
        let letter = u8::try_from(targets.len()).expect("few targets");
        target["refId"] = char::from(b'A' + letter).to_string().into();
        target["editorMode"] = "code".into();
        target["datasource"] = datasource();
        targets.push(target);
        self
    }

    /// Sets the legend of the last query.
    pub(super) fn legend(mut self, legend: &str) -> Self {
        let targets = self.json["targets"].as_array_mut().expect("a list");
        targets.last_mut().expect("a target")["legendFormat"] = legend.into();
        self
    }

    pub(super) fn size(mut self, width: u64, height: u64) -> Self {
        (self.width, self.height) = (width, height);
        self
    }

    pub(super) fn unit(self, unit: &str) -> Self {
        self.field("unit", unit.into())
    }

    /// Sets the text shown without data.
    pub(super) fn without(self, text: &str) -> Self {
        self.field("noValue", text.into())
    }

    /// Sets colour thresholds; the first colour applies below all of them.
    pub(super) fn colours(self, lowest: &str, from: &[(f64, &str)]) -> Self {
        let mut steps = vec![json!({"color": lowest, "value": null})];
        steps.extend(from.iter().map(|(value, colour)| json!({"color": colour, "value": value})));
        self.field("thresholds", json!({"mode": "absolute", "steps": steps}))
            .field("color", json!({"mode": "thresholds"}))
    }

    /// Sets a word and a colour for each value, starting at 0.
    pub(super) fn words(self, words: &[(&str, &str)]) -> Self {
        let options: Map<String, Value> = words
            .iter()
            .enumerate()
            .map(|(value, (text, color))| {
                (value.to_string(), json!({"text": text, "color": color, "index": value}))
            })
            .collect();
        self.field("mappings", json!([{"type": "value", "options": options}]))
    }

    pub(super) fn link(self, title: &str, url: &str) -> Self {
        self.field("links", json!([{"title": title, "url": url, "targetBlank": false}]))
    }

    pub(super) fn field(mut self, name: &str, value: Value) -> Self {
        self.json["fieldConfig"]["defaults"][name] = value;
        self
    }

    /// Stacks the series.
    pub(super) fn stacked(mut self, mode: &str) -> Self {
        let custom = &mut self.json["fieldConfig"]["defaults"]["custom"];
        custom["stacking"] = json!({"mode": mode, "group": "A"});
        custom["fillOpacity"] = 70.into();
        self
    }

    /// Renames a series and sets its colour.
    pub(super) fn rename(mut self, from: &str, to: &str, colour: &str) -> Self {
        let overrides = self.json["fieldConfig"]["overrides"].as_array_mut().expect("a list");
        overrides.push(json!({"matcher": {"id": "byName", "options": from}, "properties": [
            {"id": "displayName", "value": to},
            {"id": "color", "value": {"mode": "fixed", "fixedColor": colour}},
        ]}));
        self
    }

    /// Sets the columns of a table in order, each as `label=Heading`; `Value` is the sample value.
    pub(super) fn columns(mut self, columns: &[&str]) -> Self {
        let mut order = Map::new();
        let mut names = Map::new();
        for (place, column) in columns.iter().enumerate() {
            let (label, heading) = column.split_once('=').expect("label=Heading");
            order.insert(label.into(), place.into());
            names.insert(label.into(), heading.into());
        }
        self.json["transformations"] = json!([{"id": "organize", "options": {
            "excludeByName": {"Time": true}, "indexByName": order, "renameByName": names, "includeByName": {}}}]);
        self
    }

    /// Colours the cells of a table's column.
    pub(super) fn cells(mut self, heading: &str) -> Self {
        let overrides = self.json["fieldConfig"]["overrides"].as_array_mut().expect("a list");
        overrides.push(json!({"matcher": {"id": "byName", "options": heading}, "properties": [
            {"id": "custom.cellOptions", "value": {"type": "color-background", "mode": "basic"}},
        ]}));
        self
    }

    fn object(&mut self) -> &mut Map<String, Value> {
        self.json.as_object_mut().expect("a panel is an object")
    }
}

/// A query variable; with `one`, neither several values nor all can be selected.
pub(super) fn variable(name: &str, label: &str, query: &str, one: bool) -> Value {
    let mut variable = json!({
        "type": "query", "name": name, "label": label, "datasource": datasource(),
        "query": {"qryType": 1, "query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery"},
        // On every change of the time range.
        "refresh": 2,
        "sort": 1, "hide": 0, "includeAll": !one, "multi": !one, "options": [], "regex": "", "skipUrlSync": false,
        "current": {},
    });
    if !one {
        // “All” includes series without the label.
        variable["allValue"] = ".*".into();
        variable["current"] = json!({"selected": true, "text": ["All"], "value": ["$__all"]});
    }
    variable
}

fn datasource_variable() -> Value {
    json!({
        "type": "datasource", "name": "datasource", "label": "Data source", "query": "prometheus", "current": {},
        "hide": 0, "includeAll": false, "multi": false, "options": [], "refresh": 1, "regex": "", "skipUrlSync": false,
    })
}

/// Positions panels in the grid from left to right and numbers them. Those below a collapsed row are part of it.
fn place(panels: Vec<Panel>) -> Vec<Value> {
    let (mut x, mut y, mut height) = (0, 0, 0);
    let mut placed: Vec<Value> = Vec::new();
    for (number, panel) in (1_u64..).zip(panels) {
        if x + panel.width > COLUMNS {
            (x, y, height) = (0, y + height, 0);
        }
        let mut json = panel.json;
        json["id"] = number.into();
        json["gridPos"] = json!({"x": x, "y": y, "w": panel.width, "h": panel.height});
        x += panel.width;
        height = height.max(panel.height);
        let is_row = json["type"] == "row";
        match placed.last_mut() {
            Some(row) if !is_row && row["collapsed"] == true => {
                row["panels"].as_array_mut().expect("the panels of a row").push(json);
            }
            _ => placed.push(json),
        }
    }
    placed
}

/// A whole dashboard.
pub(super) fn dashboard(
    uid: &str,
    title: &str,
    description: &str,
    variables: Vec<Value>,
    panels: Vec<Panel>,
) -> Value {
    let mut list = vec![datasource_variable()];
    list.extend(variables);
    json!({
        "uid": uid, "id": null, "title": title, "description": description, "tags": ["acr-verifier"],
        "schemaVersion": 39, "version": 1, "editable": false, "graphTooltip": 1, "refresh": "5m", "timezone": "",
        "time": {"from": "now-6h", "to": "now"}, "timepicker": {}, "fiscalYearStartMonth": 0, "weekStart": "",
        "annotations": {"list": []}, "links": [],
        "templating": {"list": list},
        "panels": place(panels),
    })
}
