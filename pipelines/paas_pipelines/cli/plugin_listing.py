"""`paas-runner pipelines plugins`: what is installed of others, and whether it may be used.

Nothing of a plug-in is imported: all of it stands in the metadata of its distribution.
"""

import argparse
import os
from typing import Any

from paas_pipelines.cli.options import add_options, given_in, settings_of
from paas_runner.commands import output
from paas_runner.commands.command import Command
from paas_runner.errors import Exit

_HEAD = ("kind", "name", "distribution", "version", "licence", "")


def _plugins(arguments: argparse.Namespace) -> Exit:
    settings = settings_of(given_in(arguments), os.environ)
    from paas_pipelines.plugins.registry import Plugin
    from paas_pipelines.server import automation
    from paas_pipelines.server.plugging import found_plugins

    def shape(each: Plugin) -> dict[str, Any]:
        return {
            "kind": each.kind,
            "name": each.name,
            "distribution": each.distribution,
            "version": each.version,
            "licence": each.licence,
            "allowed": not each.refused,
            "reason": each.refused,
        }

    allowed = automation.load(settings.settings, os.environ) if settings.settings else None
    found = (allowed.registry if allowed else found_plugins(None)).plugins
    if arguments.json:
        output.show_json({"plugins": [shape(each) for each in found]})
    elif not found:
        output.show("no plug-in is installed")
    else:
        rows = [
            (each.kind, each.name, each.distribution, each.version, each.licence or "-", each.refused)
            for each in found
        ]
        output.show(output.Table(head=_HEAD, rows=rows))
    return Exit.OK


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_options(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON document, nothing else")


PLUGINS = Command(
    name="plugins",
    help="what other distributions add: actions, executors, notifiers, credentials",
    description="List the plug-ins of this Python, from their metadata alone: none of them is imported.",
    epilog="exit codes:\n  0   listed\n  2   wrong arguments\n  78  the settings file cannot be used\n",
    arguments=_arguments,
    call=_plugins,
)
