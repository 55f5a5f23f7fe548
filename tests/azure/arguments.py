#!/usr/bin/env python3
"""Parses `az` command lines with the Azure CLI's own parser, without running them.

Reads one shell-quoted command per line from standard input. Prints the rejected commands, and exits 1 if there are any.
Requires the package azure-cli but no network: names are not resolved.
"""

import contextlib
import io
import os
import shlex
import sys
import tempfile

os.environ["AZURE_CONFIG_DIR"] = tempfile.mkdtemp()
os.environ["AZURE_CORE_COLLECT_TELEMETRY"] = "false"

from azure.cli.core import get_default_cli  # noqa: E402
from knack.events import EVENT_INVOKER_POST_PARSE_ARGS  # noqa: E402


class Parsed(BaseException):
    """Stops a command after its arguments are parsed, before it runs."""


def stop(_context, **_arguments):
    raise Parsed


def complaint(words):
    """Returns the parser's error for a command, or None if it is accepted."""
    cli = get_default_cli()
    cli.register_event(EVENT_INVOKER_POST_PARSE_ARGS, stop)
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            code = cli.invoke(words)
    except Parsed:
        return None
    except SystemExit as end:
        code = end.code
    return f"exit {code}: {said.getvalue().strip()[:400]}"


def main():
    commands = [line for line in sys.stdin.read().splitlines() if line.strip()]
    wrong = 0
    for line in commands:
        problem = complaint(shlex.split(line)[1:])
        if problem is not None:
            wrong += 1
            print(f"{line}\n  {problem}")
    print(f"{len(commands) - wrong} of {len(commands)} commands are parsed", file=sys.stderr)
    return 1 if wrong or not commands else 0


sys.exit(main())
