"""Reads a dashboard with Grafana's published types, writes it again, and prints every key that was lost and every unit that
Grafana does not have. Exits with 1 if there are any.

    python schema.py dashboards/overview.json
"""

import inspect
import json
import sys

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import dashboard, units

UNITS = {value for name, value in inspect.getmembers(units) if isinstance(value, str) and not name.startswith("__")}


def empty(value):
    """Whether an encoder may omit the value."""
    return value is None or value == [] or value == {} or value == "" or value is False or value == 0


def lost(before, after, place):
    """Yields the keys of the first value that the second lacks."""
    if isinstance(before, dict):
        for key, value in before.items():
            if isinstance(after, dict) and key in after:
                yield from lost(value, after[key], f"{place}.{key}")
            elif not empty(value):
                yield f"{place}.{key}"
    elif isinstance(before, list):
        for number, value in enumerate(before):
            if isinstance(after, list) and number < len(after):
                yield from lost(value, after[number], f"{place}[{number}]")
            else:
                yield f"{place}[{number}]"


def wrong_units(value):
    if isinstance(value, dict):
        if "unit" in value and value["unit"] not in UNITS:
            yield value["unit"]
        for inner in value.values():
            yield from wrong_units(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from wrong_units(inner)


def main():
    register_default_plugins()
    with open(sys.argv[1], encoding="utf-8") as file:
        before = json.load(file)
    after = json.loads(json.dumps(dashboard.Dashboard.from_json(before), cls=JSONEncoder))
    found = [f"lost: {key}" for key in lost(before, after, "dashboard")]
    found += [f"unknown unit: {unit}" for unit in wrong_units(before)]
    for line in found:
        print(line)
    return 1 if found else 0


sys.exit(main())
