#!/usr/bin/env python3
"""Measures how many samples the alert and recording rules read, compared with what a fleet stores.

    tests/bench/rules.py [NODES]    300 nodes without an argument; needs Debian's prometheus

The series of a node are those of tests/golden/metrics/scrape.prom for its image `canary`, scraped once a minute, and the ones of
kube-state-metrics that the rules read. Each metric has as much history as the longest range over it. Prometheus loads the
rules of dashboards/alerts and runs each expression once; its own statistics count the samples. Prints tables in Markdown, and
exits with 1 if the rules read more than twice what is stored.
"""

import json
import re
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRAPE = ROOT / "tests/golden/metrics/scrape.prom"
RULES = ROOT / "dashboards/alerts/acr-verifier.rules.yaml"
# Samples read per sample stored.
GOAL = 2
# Rules that read less than this share of what is stored are one row of the table.
SMALL = 0.02
MINUTE = 60
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
# A range over a metric, with the step of a subquery.
RANGE = re.compile(r"([a-z_][\w:]*)(?:\{[^}]*\})?\[(\d+)([smhd])(?::(\d+)([smhd]))?\]")
PORT = 19469
PATIENCE = 60


def node_series(histograms, is_broken):
    """The series of one node as (metric, labels without the node, value)."""
    series = []
    for line in SCRAPE.read_text().splitlines():
        found = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
        if not found:
            continue
        metric, labels, value = found.groups()
        labels = dict(re.findall(r'(\w+)="([^"]*)"', labels or ""))
        if labels.get("image", "canary") != "canary" or ("registry" in labels and "image" not in labels):
            continue
        if labels.get("resolver", "system") != "system" or metric == "acr_verifier_cause":
            continue
        if "stage_duration" in metric and not histograms:
            continue
        if metric == "acr_verifier_check_success":
            value = "0" if is_broken else "1"
        labels.pop("node", None)
        series.append((metric, labels, value))
    if is_broken:
        cause = {"cause": "connect_timeout", "severity": "fail", "registry": "contoso.azurecr.io", "image": "canary"}
        series.append(("acr_verifier_cause", cause, "1"))
    return series


def cluster_series(nodes):
    """The series of kube-state-metrics that the rules read."""
    yield "kube_daemonset_status_desired_number_scheduled", {"daemonset": "acr-verifier"}, str(nodes)
    for node in range(nodes):
        yield "kube_node_info", {"node": name(node), "os_image": "Ubuntu 24.04.3 LTS", "kubelet_version": "v1.37.2"}, "1"
        ready = {"node": name(node), "condition": "Ready", "status": "true"}
        yield "kube_node_status_condition", ready, "1"
        pod = {"node": name(node), "namespace": "acr-verifier", "pod": f"acr-verifier-{node:06}"}
        yield "kube_pod_info", {**pod, "created_by_kind": "DaemonSet", "created_by_name": "acr-verifier"}, "1"


def name(node):
    return f"aks-np1-12345678-vmss{node:06}"


def ranges(rules):
    """The longest range over each metric in seconds."""
    longest = {}
    for rule in rules:
        for metric, number, unit, step, step_unit in RANGE.findall(rule["query"]):
            seconds = int(number) * UNITS[unit] + (int(step) * UNITS[step_unit] if step else 0)
            longest[metric] = max(longest.get(metric, 0), seconds)
    return longest


def write(file, series, longest, end):
    for metric, labels, value in series:
        text = ",".join(f'{label}="{text}"' for label, text in labels.items())
        start = end - longest.get(metric, 0) // MINUTE * MINUTE
        for moment in range(start, end + 1, MINUTE):
            file.write(f"{metric}{{{text}}} {value} {moment}\n")


@contextmanager
def prometheus(folder):
    config = folder / "prometheus.yaml"
    config.write_text(f"rule_files: [{RULES}]\n")
    address = f"127.0.0.1:{PORT}"
    arguments = [f"--config.file={config}", f"--storage.tsdb.path={folder}/data", f"--web.listen-address={address}"]
    with open(folder / "log", "w") as log:
        server = subprocess.Popen(["prometheus", *arguments, "--storage.tsdb.retention.time=30d"], stderr=log)
    try:
        for _ in range(PATIENCE * 10):
            try:
                urllib.request.urlopen(f"http://{address}/-/ready", timeout=5).close()
                break
            except OSError:
                time.sleep(0.1)
        else:
            sys.exit(f"Prometheus did not start:\n{(folder / 'log').read_text()}")
        yield lambda path: request(f"http://{address}/api/v1/{path}")
    finally:
        server.terminate()
        server.wait()


def request(url):
    with urllib.request.urlopen(url, timeout=60) as response:
        return json.load(response)["data"]


def loaded(ask):
    """The rules with the interval of their group."""
    groups = ask("rules")["groups"]
    return [{**rule, "interval": group["interval"]} for group in groups for rule in group["rules"]]


def measure(nodes, histograms, is_broken):
    """Samples stored a minute, and read a minute by each rule."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        with prometheus(folder) as ask:
            rules = loaded(ask)
        end = int(time.time()) // MINUTE * MINUTE
        one = node_series(histograms, is_broken)
        fleet = [(metric, {**labels, "node": name(node)}, value) for node in range(nodes) for metric, labels, value in one]
        fleet += cluster_series(nodes)
        longest = ranges(rules)
        history = [series for series in fleet if series[0] in longest]
        recent = [series for series in fleet if series[0] not in longest]
        read, stored = {}, nodes * len(one)
        # Recorded series are the input of later rules: they get the value that their expression has now.
        load(folder, history, longest, end)
        load(folder, recent, longest, end)
        for rule in (rule for rule in rules if rule["type"] == "recording"):
            with prometheus(folder) as ask:
                results = ask(query(rule, end))["result"]
            recorded = [(rule["name"], {k: v for k, v in r["metric"].items() if k != "__name__"}, r["value"][1]) for r in results]
            stored += len(recorded) * MINUTE / rule["interval"]
            load(folder, recorded, longest, end)
        with prometheus(folder) as ask:
            for rule in rules:
                samples = ask(query(rule, end))["stats"]["samples"]["totalQueryableSamples"]
                read[rule["name"]] = read.get(rule["name"], 0) + samples * MINUTE / rule["interval"]
        return stored, len(one), read


def query(rule, moment):
    return "query?" + urllib.parse.urlencode({"query": rule["query"], "time": moment, "stats": "all"})


def load(folder, series, longest, end):
    if not series:
        return
    text = folder / "series"
    with open(text, "w") as file:
        write(file, series, longest, end)
        file.write("# EOF\n")
    command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(text), str(folder / "data")]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def main():
    nodes = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    is_met = True
    print("| rules | series a node | stored a minute | read a minute | read per stored |\n| --- | --- | --- | --- | --- |")
    costs = {}
    for histograms in (True, False):
        for is_broken in (False, True):
            stored, series, read = measure(nodes, histograms, is_broken)
            state = f"{'with' if histograms else 'without'} stage histograms, {'all nodes broken' if is_broken else 'healthy'}"
            total = sum(read.values())
            costs[state] = {rule: samples / stored for rule, samples in read.items()}
            is_met &= total <= GOAL * stored
            print(f"| {state} | {series} | {stored:,.0f} | {total:,.0f} | {total / stored:.2f} |")
    print(f"\n| samples read per sample stored | {' | '.join(costs)} |\n| --- |{' --- |' * len(costs)}")
    rules = sorted(next(iter(costs.values())), key=lambda rule: -max(cost[rule] for cost in costs.values()))
    large = [rule for rule in rules if max(cost[rule] for cost in costs.values()) >= SMALL]
    for rule in large:
        print(f"| `{rule}` | {' | '.join(f'{cost[rule]:.2f}' for cost in costs.values())} |")
    rest = [sum(cost[rule] for rule in rules if rule not in large) for cost in costs.values()]
    print(f"| {len(rules) - len(large)} others | {' | '.join(f'{cost:.2f}' for cost in rest)} |")
    sys.exit(0 if is_met else 1)


main()
