"""`paas-runner pipelines credentials`, `access` and `audit`: what administrators ask a running server; but
the audit is verified on a data folder, too, whether a server works with it or not.

Values of credentials come by the standard input or from files: a command line is seen by everybody.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from paas_runner.commands import output
from paas_runner.errors import Exit, UsageError
from paas_runner.plain_text import one_line

if TYPE_CHECKING:
    from paas_pipelines.cli.asking import Server

STDIN = "-"


def credentials(arguments: argparse.Namespace, server: "Server") -> None:
    """Lists, sets, removes, encrypts anew."""
    action, name = arguments.what, arguments.name
    if (action in ("set", "remove")) != (name is not None):
        raise UsageError(f"`credentials {action}` " + ("takes no name" if name else "needs the name of one"))
    path = f"/credentials/{quote(name or '', safe='')}"
    match action:
        case "list":
            _list(server.asked("GET", "/credentials")["credentials"], as_json=arguments.json)
        case "set":
            values = _values(arguments)
            done = server.asked("PUT", path, {"type": arguments.type, "values": values})
            output.show(f"credential {name} is stored, version {done['version']}")
        case "remove":
            server.asked("DELETE", path)
            output.show(f"credential {name} is removed")
        case "rekey":
            count = server.asked("POST", "/credentials/rekey")["rekeyed"]
            output.show(f"credentials that had another key: {count}; all have the first one now")


def access(arguments: argparse.Namespace, server: "Server") -> Exit | None:
    """Explains."""
    asked = [("method", arguments.method), ("resource", arguments.resource)]
    if arguments.identity:
        asked.append(("identity", arguments.identity))
    asked += [("group", group) for group in arguments.group or ()]
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in asked)
    found = server.asked("GET", f"/access/explain?{query}")
    if arguments.json:
        output.show_json(found)
        return None
    may = "may" if found["allowed"] else "may not"
    lines = [
        f"{found['identity'] or 'nobody'} {may} {found['method']} {found['resource']}: {found['reason']}"
    ]
    if "person" in found:
        lines.append(f"  the person {found['person']}: {', '.join(found['identities'])}")
    output.show(*lines, *(f"  {each}" for each in found["statements"]))
    return None if found["allowed"] else Exit.FAILED


def audit(arguments: argparse.Namespace, server: "Server") -> Exit | None:
    """Shows lines, or verifies all of them."""
    if arguments.what == "verify":
        found = server.asked("GET", "/audit/verify")
        output.show("all lines are as they were written" if found["whole"] else found["broken"])
        return None if found["whole"] else Exit.FAILED
    lines = server.asked("GET", f"/audit?limit={arguments.last}")["lines"]
    if arguments.json:
        output.show_json({"lines": lines})
    else:
        output.show(*(_audit_line(line) for line in reversed(lines)))
    return None


def verified(data: Path) -> Exit:
    """Whether the lines in a data folder are as they were written; nothing of it is changed."""
    from paas_pipelines.store.stored_audit import broken_on_disk

    broken = broken_on_disk(data)
    output.show(broken or "all lines are as they were written")
    return Exit.FAILED if broken else Exit.OK


def _list(found: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    if as_json:
        output.show_json({"credentials": list(found)})
        return
    for each in found:
        version = (
            f"version {each['version']} of {each['changed']} by {each['by']}" if "version" in each else ""
        )
        output.show("  ".join(filter(None, (each["name"], each["type"], each["source"], version))))


def _audit_line(line: Mapping[str, Any]) -> str:
    details = [f"{name}={value}" for name, value in line["details"].items()]
    who = line["who"] or "-"  # a name with spaces is no beginning of a line
    said = [
        json.dumps(who, ensure_ascii=False) if " " in who else who,
        line["what"],
        line["resource"],
        line["outcome"],
        *details,
    ]
    return f"{line['number']:>6} {line['at'][:19]}Z {one_line(' '.join(said))}"


def _values(arguments: argparse.Namespace) -> Mapping[str, str]:
    """An object of the standard input, or a file for each field; raises `UsageError`, never with a value."""
    if not arguments.type:
        raise UsageError("`credentials set` needs --type")
    if not arguments.file:
        try:
            found = json.loads(sys.stdin.read())
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise UsageError(
                'the standard input has no object of JSON, such as {"value": "…"}; or see --file'
            )
        return found
    values: dict[str, str] = {}
    for word in arguments.file:
        field, equals, name = word.partition("=")
        if not equals:
            raise UsageError(f"--file {word}: FIELD=FILE is expected, and - is the standard input")
        try:
            text = sys.stdin.read() if name == STDIN else Path(name).read_text()
        except OSError as error:
            raise UsageError(f"--file {word}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise UsageError(f"--file {word}: is no text in UTF-8") from None
        values[field] = text.removesuffix("\n") if "\n" not in text.removesuffix("\n") else text
    return values
