"""`paas-runner store`: where the records are, and how they get somewhere else."""

import argparse
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, Union

from paas_runner.commands import output, progress
from paas_runner.commands.command import Command
from paas_runner.errors import Exit, UsageError

if TYPE_CHECKING:
    from paas_runner.config import Config
    from paas_runner.database_url import DatabaseUrl
    from paas_runner.store.copying import Copied, StateFile

Place: TypeAlias = Union[Path, "DatabaseUrl", "StateFile"]

_REFERENCE = re.compile(r"(env|file):.*", re.DOTALL)
_CONFIG_WORD = "config"

_COPY_EPILOG = """\
WHERE:
  config                                what the configuration says: `state_store`, else the file beside
                                        `state_file`
  /var/lib/paas-runner/….db             a SQLite file
  postgresql://user@host:5432/database  a PostgreSQL database; an address with a password in it is refused
                                        here, since others could read it in the list of processes
  env:NAME, file:PATH                   such an address, with its password, in the environment or in a file
                                        that nobody else may read
  ….json                                a state file: the tracked jobs and the installation's id alone

examples, with the service stopped:
  paas-runner store copy CONFIG --from /var/lib/paas-runner/paas-runner-state.db --to config
                                                              into the database, once `state_store` is set
  paas-runner store copy CONFIG --from config --to file:database-url                 the same, before it is
  paas-runner store copy CONFIG --from config --to /var/lib/paas-runner/paas-runner-state.db       and back
  paas-runner store copy CONFIG --from config --to jobs.json

All is copied: tracked jobs, jobs that are over, histories, the ledger of costs, the installation's id, what
is known of the runners, notices. It is written in one transaction and read back, and nobody sees anything of
it before it is whole; a copy that was killed is simply begun again. Let no service work on the old place any
more: both would care for the same jobs.

fields of --json:
  from, to      where, without credentials
  rows          how many, by table
  left          rows that a store of that kind cannot have, by table: of a state file all but jobs and id
  was_there     whether the target was a whole copy already

exit codes:
  0   copied, and verified; or it was a whole copy already
  1   the target has other records: nothing was written
  2   wrong arguments
  74  a store cannot be read or written
  75  a service works on one of both
  78  the configuration is wrong, or packages of the extra `postgres` are missing
"""


def _arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    copy = actions.add_parser(
        "copy",
        help="copy all records into another store, verified",
        description="Copy all records from one store into another, which has to be empty, and verify them.",
        epilog=_COPY_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    copy.add_argument(
        "config", type=Path, metavar="CONFIG", nargs="?", help="the configuration file, where it is needed"
    )
    copy.add_argument("--from", dest="source", metavar="WHERE", required=True, help="what is copied")
    copy.add_argument("--to", dest="target", metavar="WHERE", required=True, help="what is made of it")
    copy.add_argument("--json", action="store_true", help="print one JSON document, nothing else")
    copy.set_defaults(action=_copy)


def _copy(arguments: argparse.Namespace) -> int:
    from paas_runner.logs import redactor
    from paas_runner.store import copying

    config = _loaded(arguments.config)
    source, target = (_place(text, config) for text in (arguments.source, arguments.target))
    for place in (source, target):
        redactor.add(getattr(place, "passwords", ()))
    if source == target:
        raise UsageError("--from and --to are the same place")
    line = progress.StatusLine()
    try:
        with copying.source(source) as old, copying.target(target) as new:
            copied = copying.copy(old, new, lambda what, done, of: line.show(f"{what}: {done} of {of} rows"))
    finally:
        line.clear()
    if arguments.json:
        output.show_json(
            {
                "from": str(source),
                "to": str(target),
                "rows": copied.rows,
                "left": copied.left,
                "was_there": copied.was_there,
            }
        )
    else:
        output.show(*_page(copied, source, target))
    return Exit.OK


def _page(copied: "Copied", source: Place, target: Place) -> list[output.Line | output.Table]:
    rows = [(name, str(count)) for name, count in copied.rows.items()]
    verb = "was a whole copy of" if copied.was_there else "is a verified copy of"
    page: list[output.Line | output.Table] = [
        f"{target} {verb} {source}",
        output.Table(head=("TABLE", "ROWS"), rows=rows, left=1),
    ]
    if copied.left:
        left = ", ".join(f"{name} ({count})" for name, count in copied.left.items())
        page.append(f"not taken along, since a state file has no place for it: {left}")
    page.append(f"let no service work with {source} any more")
    return page


def _loaded(path: Path | None) -> "Config | None":
    from paas_runner.config import load
    from paas_runner.executor.contract import installed
    from paas_runner.logs import redactor

    if path is None:
        return None
    config = load(path, environ=os.environ, executors=installed())
    redactor.add(config.secrets)
    return config


def _place(text: str, config: "Config | None") -> Place:
    """What one argument means; raises `UsageError`, which quotes no credential."""
    from paas_runner.addresses import AddressError
    from paas_runner.config.packaged import refuse_root_beside
    from paas_runner.database_url import SCHEMES, database_url
    from paas_runner.store.copying import StateFile

    if text == _CONFIG_WORD:
        if config is None:
            raise UsageError("`config` says that the configuration names the store: CONFIG is needed, too")
        if isinstance(config.store, Path):
            refuse_root_beside(config.store)
        return config.store
    referred = _referred(text) if _REFERENCE.fullmatch(text) else ""
    if referred or text.startswith(tuple(f"{scheme}:" for scheme in SCHEMES)):
        try:
            found = database_url(referred or text)
        except AddressError as error:
            raise UsageError(f"{text.partition(':')[0]}: {error}") from None
        if found.passwords and not referred:
            raise UsageError(
                f"{found}: a password on the command line can be read by everybody on this machine: write "
                "the address into the environment or a file, and name that by env:NAME or file:PATH"
            )
        return found
    path = Path(text).absolute()
    refuse_root_beside(path)
    if path.suffix == ".json":
        return StateFile(path=path, names=config.peer_names if config else {})
    return path


def _referred(text: str) -> str:
    """The secret to which an argument refers; raises `UsageError`."""
    from paas_runner.config.secret_references import Surroundings, UnavailableError

    try:
        return Surroundings(environ=os.environ, folder=Path.cwd()).dereferenced(text) or ""
    except UnavailableError as error:
        raise UsageError(f"{text.partition(':')[0]}: {error}") from None


COMMAND = Command(
    name="store",
    help="copy all records into another store: from a file to a database, and back",
    description="The store of all records: `copy` takes it to another place while the service is stopped.",
    epilog="Each action has its own --help.",
    arguments=_arguments,
    call=lambda arguments: int(arguments.action(arguments)),
)
