"""`paas-runner notify`."""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import attrs

from paas_runner.commands import output
from paas_runner.commands.command import Command, add_config
from paas_runner.errors import Exit

if TYPE_CHECKING:
    from paas_runner.config import Config
    from paas_runner.config.notify import Receiver

_EPILOG = """\
Who is told what is in the [[notify]] sections of the configuration. The service may run meanwhile. A test
goes straight to each receiver, whatever it wants to be told of, and is tried once.

fields of --json:
  receivers       one for each section:
    name          what it is called
    told          true or false, with --test
    answer        what came back, or why it did not, with --test
    pending       without --test: the documents that it has not taken yet, oldest first

exit codes:
  0   every receiver took the test; or the list is printed
  1   a receiver did not take it
  2   wrong arguments
  74  the store cannot be read
  78  the configuration is wrong, or names nobody to test
"""


@attrs.frozen(kw_only=True)
class _Tested:
    """How one receiver took its test."""

    name: str
    told: bool
    answer: str


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("--test", action="store_true", help="send a test to each receiver")
    parser.add_argument("--json", action="store_true", help="print one JSON document, nothing else")


def _call(arguments: argparse.Namespace) -> int:
    from paas_runner.config import load
    from paas_runner.executor.contract import installed
    from paas_runner.logs import configure, redactor

    configure(level="fatal", form="text", stream=sys.stderr)  # what matters of it is in the answer
    config = load(arguments.config, environ=os.environ, executors=installed())
    redactor.add(config.secrets)
    return _test(config, arguments) if arguments.test else _list(config, arguments)


# --- a test ------------------------------------------------------------------------------------------------


def _test(config: "Config", arguments: argparse.Namespace) -> int:
    import asyncio

    from paas_runner.config import ConfigError
    from paas_runner.config.complaints import Complaint

    if not config.notify:
        found = "there is no [[notify]] section, so nobody to tell"
        raise ConfigError([Complaint(path=config.path, found=found)])
    results = asyncio.run(_all_tested(config.notify))
    if arguments.json:
        output.show_json({"receivers": [attrs.asdict(result) for result in results]})
    else:
        output.show(output.Table(rows=[[*_marked(result), result.answer] for result in results]))
    return Exit.OK if all(result.told for result in results) else Exit.FAILED


def _marked(result: _Tested) -> Sequence[output.Line]:
    mark = output.Painted("✓", "green") if result.told else output.Painted("✗", "red")
    return [(mark, f" {result.name}")]


async def _all_tested(receivers: "Sequence[Receiver]") -> Sequence[_Tested]:
    import asyncio

    return await asyncio.gather(*map(_tested, receivers))


async def _tested(receiver: "Receiver") -> _Tested:
    import secrets
    import socket

    from paas_runner import __version__
    from paas_runner.http import Http
    from paas_runner.job.notice import Notice, NoticeKind, NoticeState
    from paas_runner.notify.delivery import DeliveryError, Parcel, courier_to
    from paas_runner.notify.document import Sender, document

    now, number = datetime.now(UTC), f"test-{secrets.token_hex(8)}"
    test = Notice(kind=NoticeKind.TEST, state=NoticeState.HAPPENED, subject="", since=now, until=now)
    sender = Sender(installation="", machine=socket.gethostname(), version=__version__)
    try:
        courier = courier_to(receiver, Http())
        try:
            answer = await courier.deliver(
                Parcel(number=number, document=document(test, number, sender), at=now)
            )
        finally:
            await courier.aclose()
    except DeliveryError as error:
        return _Tested(name=receiver.name, told=False, answer=str(error))
    return _Tested(name=receiver.name, told=True, answer=answer)


# --- what is pending ---------------------------------------------------------------------------------------


def _list(config: "Config", arguments: argparse.Namespace) -> int:
    from paas_runner.notify.inheritance import owner_of
    from paas_runner.store.snapshot import pending_notices

    pending: dict[str, list[Mapping[str, Any]]] = {receiver.name: [] for receiver in config.notify}
    for key, kept in (pending_notices(config.store) if config.notify else {}).items():
        receiver, _ = owner_of(key, pending)
        if receiver in pending:
            pending[receiver] += map(json.loads, kept.pending.values())
    if arguments.json:
        output.show_json({"receivers": [{"name": name, "pending": each} for name, each in pending.items()]})
    else:
        output.show(*_page(pending))
    return Exit.OK


def _page(pending: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[output.Line | output.Table]:
    rows = [
        (name, str(told.get("since")), str(told.get("kind")), str(told.get("summary")))
        for name, documents in pending.items()
        for told in documents
    ]
    if not pending:
        yield "there is no [[notify]] section: nobody is told anything"
    elif not rows:
        yield f"nothing waits for {', '.join(pending)}"
    else:
        yield output.Table(head=["RECEIVER", "SINCE", "KIND", "WHAT"], rows=rows)


COMMAND = Command(
    name="notify",
    help="what receivers of notices have not taken yet; with --test whether they take any",
    description=(
        "Show the notices that are on their way to their receivers, or send each receiver a test and say\n"
        "what came back."
    ),
    epilog=_EPILOG,
    arguments=_arguments,
    call=_call,
)
