"""An upgrade of a data centre that is killed in the middle, and goes on.

    python data_centre.py [FOLDER]

This program starts itself as another process, kills that with SIGKILL, starts it again, and prints for each
action how often it was called by either. What had completed is not called again; what was being called at the
kill is called twice. FOLDER (else a temporary one) has the store, `plans.db`, and the data centre: a file for
each rack, and `calls`, with a line for each call of a plugin.

The plan has a block for each row of racks. Each row is left alone where it has the version already (bypass
checks), waits until the one before has settled (entrance delay), is begun only if enough racks serve (pre
checks), and is watched all the time (continuous checks). Its racks are drained, upgraded, verified and put
back, two at once. Whatever happens, alarms are switched on again at the end; owners or the duty officer are
told, and the last look is at the whole.

What it shows beside: plugins that may be repeated, since each looks at what is there first; a program that
takes up what was running, and submits a plan only where there is none.
"""

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import attrs
from paas_plans import (
    Action,
    BasePlugin,
    Block,
    Builder,
    CheckKind,
    Context,
    Filter,
    Plan,
    PluginError,
    Registry,
    SQLiteStore,
    Status,
    When,
    Workstream,
    walk,
)

NEW = "7.2"
ROWS = {"row A": ("a1", "a2", "a3"), "row B": ("b1", "b2", "b3"), "row C": ("c1", "c2")}
FIRST_VERSIONS = {"c1": NEW, "c2": NEW}  # row C was done last week
MOST_DRAINED = 4
KILLED_AT = "upgrade b1"
WORK_SECONDS = 0.15


# --- the data centre -------------------------------------------------------------------------------------


@attrs.frozen
class DataCentre:
    """Files, so that it outlives the programs that work on it."""

    folder: Path

    def build(self) -> None:
        """All racks serve, with the version that they had last week."""
        for rack in (rack for racks in ROWS.values() for rack in racks):
            self.change(rack, f"serving {FIRST_VERSIONS.get(rack, '7.1')}")

    def look(self, rack: str) -> list[str]:
        """Whether it is serving or drained, and its version."""
        return (self.folder / rack).read_text().split()

    def change(self, rack: str, text: str) -> None:
        """All or nothing."""
        fresh = self.folder / f"{rack}.new"
        fresh.write_text(text)
        fresh.replace(self.folder / rack)

    def note(self, context: Context, what: str) -> None:
        """Who called, for what: one line, however many write at once."""
        with (self.folder / "calls").open("a") as calls:
            calls.write(f"{os.getpid()} {context.action_id} {what}\n")

    def calls(self) -> list[tuple[str, str, str]]:
        """The process, the action and what for, of all calls so far."""
        path = self.folder / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(process, action, what) for process, action, what in (line.split(" ", 2) for line in lines)]


# --- plugins ---------------------------------------------------------------------------------------------


@attrs.frozen
class DataCentrePlugin(BasePlugin):
    """What all of them have."""

    centre: DataCentre


@attrs.frozen
class Rack:
    """One of them, and the version that is wanted."""

    name: str
    version: str = NEW


class Drain(DataCentrePlugin):
    name = "data_centre.drain"
    request_type = Rack

    def execute(self, request: Rack, context: Context) -> None:
        """It serves nobody any more."""
        self.centre.note(context, f"drain {request.name}")
        time.sleep(WORK_SECONDS)
        self.centre.change(request.name, f"drained {self.centre.look(request.name)[1]}")


class Upgrade(DataCentrePlugin):
    name = "data_centre.upgrade"
    request_type = Rack
    response_type = str

    def execute(self, request: Rack, context: Context) -> str:
        """What it had before; a rack that serves is not touched."""
        self.centre.note(context, f"upgrade {request.name}")
        use, version = self.centre.look(request.name)
        if use != "drained":
            raise PluginError(f"{request.name} is {use}: it has to be drained first", permanent=True)
        time.sleep(WORK_SECONDS)
        self.centre.change(request.name, f"drained {request.version}")
        return version


class Verify(DataCentrePlugin):
    name = "data_centre.verify"
    request_type = Rack

    def execute(self, request: Rack, context: Context) -> None:
        """It came up with its new version."""
        self.centre.note(context, f"verify {request.name}")
        time.sleep(WORK_SECONDS)
        if (found := self.centre.look(request.name)[1]) != request.version:
            raise PluginError(f"{request.name} came up with {found}")


class PutBack(DataCentrePlugin):
    name = "data_centre.put_back"
    request_type = Rack

    def execute(self, request: Rack, context: Context) -> None:
        """It serves again."""
        self.centre.note(context, f"put back {request.name}")
        self.centre.change(request.name, f"serving {self.centre.look(request.name)[1]}")


class Say(DataCentrePlugin):
    name = "data_centre.say"
    request_type = str

    def execute(self, request: str, context: Context) -> None:
        """It would be a message; twice is better than never."""
        self.centre.note(context, f"say {request}")


class HasVersion(DataCentrePlugin):
    name = "data_centre.has_version"
    request_type = Rack
    is_check = True

    def execute(self, request: Rack, context: Context) -> None:
        """It serves, with that version."""
        self.centre.note(context, f"look at {request.name}")
        if (found := self.centre.look(request.name)) != ["serving", request.version]:
            raise PluginError(f"{request.name} is {' with '.join(found)}")


class EnoughServe(DataCentrePlugin):
    name = "data_centre.enough_serve"
    request_type = int
    is_check = True

    def execute(self, request: int, context: Context) -> None:
        """At most so many racks are drained."""
        self.centre.note(context, "count")
        drained = [
            name for racks in ROWS.values() for name in racks if self.centre.look(name)[0] == "drained"
        ]
        if len(drained) > request:
            raise PluginError(f"{len(drained)} racks are drained, {request} may be: {', '.join(drained)}")


PLUGINS = (Drain, Upgrade, Verify, PutBack, Say, HasVersion, EnoughServe)


# --- the plan --------------------------------------------------------------------------------------------


def upgrade_of_the_data_centre() -> Plan:
    """Row by row."""
    build = Builder("upgrade the data centre", f"Version {NEW} for all racks, row by row.")
    build.checks(CheckKind.CONTINUOUS, delay=timedelta(seconds=0.5))
    build.action("enough serve", "Enough racks serve.", EnoughServe.name, MOST_DRAINED).up()
    for row, racks in ROWS.items():
        build.block(row, "Two racks at once.", concurrency=2, entrance_delay=timedelta(seconds=0.3))
        build.checks(CheckKind.BYPASS)
        for rack in racks:
            build.action(f"is {rack} done", "It has the version already.", HasVersion.name, Rack(rack))
        build.up().checks(CheckKind.PRE)
        build.action("enough serve", "Nobody else has drained racks.", EnoughServe.name, 0).up()
        for rack in racks:
            build.sequence(rack, "One rack.")
            for plugin in (Drain, Upgrade, Verify, PutBack):
                name = plugin.name.rpartition(".")[2].replace("_", " ")
                build.action(f"{name} {rack}", "As it says.", plugin.name, Rack(rack), retries=1)
            build.up()
        build.up()
    build.checks(CheckKind.DEFERRED)
    for rack in (rack for racks in ROWS.values() for rack in racks):
        build.action(f"does {rack} serve", "With its new version.", HasVersion.name, Rack(rack))
    build.up().deferred_actions()
    for when, text in {
        When.ALWAYS: "switch alarms on",
        When.ON_SUCCESS: "tell the owners",
        When.ON_FAILURE: "wake the officer",
    }.items():
        build.batch(text, "What is due in the end.", when)
        build.action(text, "Say it.", Say.name, text, retries=3).up()
    return build.plan()


async def worked_on(folder: Path) -> Plan:
    """What was running, to its end; where nothing was, a plan from its beginning."""
    registry = Registry(*(plugin(DataCentre(folder)) for plugin in PLUGINS))
    async with Workstream(SQLiteStore(folder / "plans.db"), registry) as workstream:
        async for found in workstream.search(Filter(statuses=frozenset({Status.RUNNING}))):
            return await workstream.wait(found.id)
        return await workstream.run(upgrade_of_the_data_centre())


# --- the kill --------------------------------------------------------------------------------------------


def killed_and_resumed(folder: Path) -> tuple[str, str]:
    """The processes of the first life and the second."""
    centre = DataCentre(folder)
    centre.build()
    command = [sys.executable, __file__, "--work", str(folder)]
    with subprocess.Popen(command) as first:
        while KILLED_AT not in {what for *_, what in centre.calls()} and first.poll() is None:
            time.sleep(0.01)
        first.send_signal(signal.SIGKILL)
    with subprocess.Popen(command) as second:
        second.wait()
    return str(first.pid), str(second.pid)


def table(plan: Plan, centre: DataCentre, lives: tuple[str, str]) -> Iterator[str]:
    """For each action: its state at the end, and the calls by either life."""
    calls = Counter((process, action) for process, action, _ in centre.calls())
    yield f"{plan.name}: {plan.state.status.words}"
    yield f"{'':46} state        calls: 1st  2nd life"
    for step in walk(plan):
        action, parents = step.item, step.parents[1:]
        if isinstance(action, Action):
            first, second = (calls[life, str(action.id)] or "-" for life in lives)
            block = parents[0].name if isinstance(parents[0], Block) else ""
            kind = next((str(field) for field in step.path if str(field).endswith("checks")), "")
            place = f"{block:6}{kind.replace('_', ' '):18}{action.name:22.22}"
            yield f"{place} {action.state.status.words:12}{first:>11}{second:>5}"


async def plan_in(folder: Path) -> Plan:
    """As it is stored, by another reader."""
    registry = Registry(*(plugin(DataCentre(folder)) for plugin in PLUGINS))
    async with Workstream(SQLiteStore(folder / "plans.db"), registry, recovery=False) as workstream:
        async for found in workstream.search(limit=1):
            return await workstream.plan(found.id)
    raise SystemExit(f"{folder}: there is no plan")


def main() -> None:
    """The show, or, with `--work`, the process that is killed in it."""
    parser = argparse.ArgumentParser(description="Upgrade a data centre, be killed, and go on.")
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (arguments.folder or Path(temporary)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        if arguments.work:
            asyncio.run(worked_on(folder))
            return
        lives = killed_and_resumed(folder)
        print(*table(asyncio.run(plan_in(folder)), DataCentre(folder), lives), sep="\n")


if __name__ == "__main__":
    main()
