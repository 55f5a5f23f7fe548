#!/usr/bin/env python3
"""Parses `az` command lines with the Azure CLI's own parser, and runs none of them.

Reads one command a line from standard input, as a shell would split it. Prints what the parser refuses, and exits 1 where
there is anything. Needs the package azure-cli, and no network: what stands behind a name is not asked.
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
    """Ends a command when its arguments are parsed, before anything acts on them."""


def stop(_context, **_arguments):
    raise Parsed


def complaint(words):
    """What the parser says against a command; nothing where it takes it."""
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
