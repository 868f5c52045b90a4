"""`paas-plans`, as a person or a program uses it, on a real store."""

import asyncio
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime

import attrs
import pytest
from paas_plans import document
from paas_plans.plan import Status
from paas_plans.plugin import BasePlugin
from paas_plans.registry import Registry
from paas_plans.stores.sqlite import SQLiteStore
from paas_plans.workstream import Workstream

from tests.plans.plans_to_show import action, at, failed_plan, identified, running_plan, tried
from tests.plans.small_plans import block, plan, sequence
from tests.support.terminal_screen import Screen, on_a_terminal

PROGRAM = (sys.executable, "-m", "paas_plans")
WITHIN = 20


def run(*arguments, cwd=None, **environ):
    """Exit status, standard output and error of the program, which has ended by itself, in words."""
    command = [*PROGRAM, *map(str, arguments)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=WITHIN,
        check=False,
        env=os.environ | environ,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def kept(path, *plans):
    async def keep():
        store = SQLiteStore(path)
        await store.open(running_plans=True)
        for each in plans:
            await store.create(document.document(each, None))
        await store.close()

    asyncio.run(keep())
    return path


async def saved(path, before, after):
    """As the process does that runs the plan."""
    store = SQLiteStore(path)
    await store.open(running_plans=False)
    await store.save(document.changes(before, after, None, datetime.now(UTC)))
    await store.close()


async def until(happens):
    async with asyncio.timeout(WITHIN):
        while not await happens():
            await asyncio.sleep(0.05)


FAILED, RUNNING = failed_plan(), attrs.evolve(running_plan(), name="Roll out core 2.0", submitted=at(5))


each_starts_a_process = pytest.mark.long  # what is much like another here is with the long tests


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store of which tests only read."""
    return kept(tmp_path_factory.mktemp("store") / "plans.sqlite", FAILED, RUNNING)


def test_a_list_has_the_newest_first_and_what_became_of_them(store):
    status, told, _ = run("list", store)
    first, second = told.splitlines()
    assert status == 0
    times = ["2026-03-14", "09:26:58"]
    assert first.split() == [RUNNING.id.hex[-12:], "◐", "running", *times, "Roll", "out", "core", "2.0"]
    assert second.startswith(FAILED.id.hex[-12:])
    assert second.endswith("36.6 s  Roll out edge 7.3 (block)")


@each_starts_a_process
@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (("--status", "failed"), [FAILED]),
        (("--status", "failed", "--status", "running"), [RUNNING, FAILED]),
        (("--status", "not-started"), []),
        (("--name", "EDGE"), [FAILED]),
        (("--group", str(FAILED.group_id)), [RUNNING, FAILED]),
        (("--since", "2026-03-14T09:26:50"), [RUNNING]),
        (("--since", "2026-03-14T10:26:50+01:00"), [RUNNING]),
        (("--limit", "1"), [RUNNING]),
    ],
)
def test_a_list_is_searched(store, wanted, found):
    _, told, _ = run("list", store, "--json", *wanted)
    assert [json.loads(line)["id"] for line in told.splitlines()] == [str(each.id) for each in found]


@each_starts_a_process
def test_a_list_for_programs_has_an_object_a_line(store):
    _, told, _ = run("list", store, "--json", "--limit", "1")
    assert json.loads(told) == {
        "id": str(RUNNING.id),
        "name": "Roll out core 2.0",
        "description": RUNNING.description,
        "group_id": str(RUNNING.group_id),
        "status": "running",
        "reason": "unknown",
        "submitted": "2026-03-14T09:26:58.589000+00:00",
        "start": "2026-03-14T09:26:53.589000+00:00",
        "updated": "2026-03-14T09:26:58.589000+00:00",
    }


def test_a_plan_is_shown_as_a_tree_with_states_times_and_errors(store):
    status, told, _ = run("show", store, FAILED.id.hex[-12:-6])  # as it begins in a list
    assert status == 0
    lines = told.splitlines()
    assert (
        lines[0]
        == "✕ 2026-03-14 09:26:53  Roll out edge 7.3: failed, 1 of 2 blocks, 1 failed, 36.6 s, reason: block"
    )
    assert "✓ 2026-03-14 09:26:57    Canary: completed, 1 of 1 sequences, 11.1 s" in lines
    assert "✓ 2026-03-14 09:27:08        copy the release: completed, 2 attempts, 5 s" in lines
    assert (
        "✕ 2026-03-14 09:27:13        restart: failed, 4 s, no space left on device: /srv (permanent)"
        in lines
    )
    assert f"○{'':28}look at the log: not started" in lines


@each_starts_a_process
def test_a_plan_that_waits_says_until_when(store):
    _, told, _ = run("show", store, RUNNING.id)
    assert "waits until 09:27:33, connection refused by host-2:22" in told


@each_starts_a_process
@pytest.mark.parametrize(
    "part", [str(FAILED.id), FAILED.id.hex, FAILED.id.hex[-8:], str(FAILED.id)[:30].upper()]
)
def test_an_id_may_be_abbreviated_at_either_end(store, part):
    assert run("show", store, part)[1].splitlines()[0].endswith("reason: block")


def test_what_show_wrote_as_json_is_reported_like_the_store_itself(store, tmp_path):
    _, written, _ = run("show", store, FAILED.id, "--json")
    assert document.from_json(written) == FAILED
    (tmp_path / "plan.json").write_text(written)
    status, told, _ = run("report", "plan.json", cwd=tmp_path)
    assert (status, told) == (0, f"plan-{FAILED.id}.html\n")
    assert run("report", store, FAILED.id, "-o", "other.html", cwd=tmp_path) == (0, "other.html\n", "")
    pages = [
        (tmp_path / name).read_text().split("<footer>")[0]
        for name in (f"plan-{FAILED.id}.html", "other.html")
    ]
    assert pages[0] == pages[1]
    assert "no space left on device" in pages[0]
    assert run("report", store, FAILED.id, "-o", "-")[1].split("<footer>")[0] == pages[0]


def test_a_stop_is_asked_for(tmp_path):
    path = kept(tmp_path / "plans.sqlite", RUNNING)
    status, told, _ = run("stop", path, RUNNING.id)
    assert status == 0
    assert "No more of it is begun, what runs ends, and what is deferred is done." in told
    assert "◐ running" in told

    async def asked():
        reader = SQLiteStore(path)
        await reader.open(running_plans=False)
        try:
            return await reader.asked_to_stop()
        finally:
            await reader.close()

    assert asyncio.run(asked()) == {RUNNING.id}


class Waits(BasePlugin):
    name = "tests.waits"

    def __init__(self):
        self.may_end = asyncio.Event()

    async def execute(self, request, context):
        await self.may_end.wait()


@each_starts_a_process
async def test_a_running_plan_is_watched_and_stopped_from_other_processes(tmp_path):
    path, registry, waits = tmp_path / "plans.sqlite", Registry(), Waits()
    registry.register(waits)
    async with Workstream(SQLiteStore(path), registry) as workstream:
        plan_id = await workstream.submit(plan(block(sequence("first", "second", plugin=Waits.name))))
        await workstream.start(plan_id)
        watching = asyncio.create_task(asyncio.to_thread(run, "watch", path, plan_id))
        status, _, _ = await asyncio.to_thread(run, "stop", path, plan_id)
        assert status == 0

        async def is_asked():
            return (await workstream.plan(plan_id)).stop_requested

        await until(is_asked)
        waits.may_end.set()
        assert (await workstream.wait(plan_id)).state.status is Status.STOPPED
        status, told, _ = await watching
        assert status == 1
        assert "block › sequence first › first: completed" in told
        assert "block › sequence first › second" not in told


@each_starts_a_process
def test_what_has_ended_is_not_asked_to_stop(store):
    assert run("stop", store, FAILED.id)[1].startswith(f"{FAILED.id.hex[-12:]}  ✕ failed")


def small():
    made = identified(plan(block(sequence("build", "ship")), submitted=at(0)))
    begun = attrs.evolve(made, state=attrs.evolve(made.state, status=Status.RUNNING, start=at(1)))
    done = tuple(
        attrs.evolve(action(each.name, tried(2 + n, 3 + n)), id=each.id)
        for n, each in enumerate(made.blocks[0].sequences[0].actions)
    )
    [[line]] = [each.sequences for each in begun.blocks]
    line = attrs.evolve(
        line, actions=done, state=attrs.evolve(begun.state, status=Status.COMPLETED, end=at(5))
    )
    first = attrs.evolve(begun.blocks[0], sequences=(line,), state=line.state)
    return begun, attrs.evolve(begun, blocks=(first,), state=line.state)


def test_a_program_that_watches_gets_a_line_for_each_change_and_the_outcome(tmp_path):
    begun, done = small()
    path = kept(tmp_path / "plans.sqlite", begun)
    command = [*PROGRAM, "watch", path, str(begun.id), "--interval", "0.1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        told = process.stdout.readline()
        asyncio.run(saved(path, begun, done))
        told += process.communicate(timeout=WITHIN)[0]
    assert process.returncode == 0
    lines = [line[23:] for line in told.splitlines()]
    assert lines[0].startswith("plan: running, 0 of 1 blocks, ")
    assert lines[1:] == [
        "plan: completed, 1 of 1 blocks, 4 s",
        "block: completed, 1 of 1 sequences, 4 s",
        "block › sequence build: completed, 2 of 2 actions, 4 s",
        "block › sequence build › build: completed, 1 s",
        "block › sequence build › ship: completed, 1 s",
    ]


def test_a_person_who_watches_sees_it_change_in_place(tmp_path):
    begun, done = small()
    path = kept(tmp_path / "plans.sqlite", begun)
    command = (*PROGRAM, "watch", str(path), str(begun.id), "--interval", "0.1")
    status, written = on_a_terminal(
        *command, columns=60, once_seen=lambda: asyncio.run(saved(path, begun, done))
    )
    assert status == 0
    screen = Screen(written)
    assert screen.styled
    assert "0 of 2 actions have ended" in written
    assert screen.lines == [
        f"{'█' * 30}  2 of 2 actions have ended",
        "✓ 2026-03-14 09:26:54  plan: completed, 1 of 1 blocks, 4 s",
    ]


@each_starts_a_process
def test_what_runs_now_is_on_a_small_screen_and_no_colour_where_none_is_wanted(tmp_path):
    path = kept(tmp_path / "plans.sqlite", RUNNING)
    ended = attrs.evolve(RUNNING, state=attrs.evolve(RUNNING.state, status=Status.FAILED, end=at(40)))
    command = (*PROGRAM, "watch", str(path), str(RUNNING.id), "--interval", "0.1")
    status, written = on_a_terminal(
        *command, lines=9, NO_COLOR="1", once_seen=lambda: asyncio.run(saved(path, RUNNING, ended))
    )
    assert status == 1
    first = Screen(written.split("\x1b[J")[0])
    assert [line[23:].split(":")[0].strip() for line in first.lines[1:]] == [
        *("Roll out core 2.0", "The rest", "host-2", "restart", "host-3", "copy the release"),
    ]
    assert "\x1b[3" not in written


def test_ctrl_c_ends_watching_quietly(store):
    with subprocess.Popen(
        [*PROGRAM, "watch", store, str(RUNNING.id)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=WITHIN)
    assert (process.returncode, errors) == (130, "")


@each_starts_a_process
def test_who_stops_reading_is_not_complained_about(store):
    command = f"{sys.executable} -m paas_plans show {store} {FAILED.id} | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert done.stderr == ""


@each_starts_a_process
def test_names_move_no_cursor(tmp_path):
    evil = attrs.evolve(FAILED, name="a\x1b[2Jb\r\n\x9bc\ud800")
    path = kept(tmp_path / "plans.sqlite", evil)
    for command in (("list", path), ("show", path, evil.id), ("watch", path, evil.id)):
        _, told, _ = run(*command, PYTHONIOENCODING="ascii")
        assert "a [2Jb   c" in told
        assert "\x1b" not in told


def no_store(tmp_path):
    return "there is no store here", ("list", tmp_path / "none.sqlite")


def no_database(tmp_path):
    (tmp_path / "text").write_text("not a database " * 100)
    return "is not a database", ("list", tmp_path / "text")


def folder(tmp_path):
    return "unable to open", ("list", tmp_path)


def of_another_program(tmp_path):
    with sqlite3.connect(tmp_path / "other") as db:
        db.execute("CREATE TABLE plans (name TEXT)")
    db.close()
    return "another program's database", ("list", tmp_path / "other")


def newer(tmp_path):
    path = kept(tmp_path / "plans.sqlite")
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    return "of a newer paas-plans", ("list", path)


def unknown(tmp_path):
    return "no plan has the id", ("show", kept(tmp_path / "plans.sqlite", FAILED), RUNNING.id)


def unknown_end(tmp_path):
    return "no plans have an id with 'fff' in it", ("show", kept(tmp_path / "s", FAILED), "fff")


def no_id(tmp_path):
    return "no plans have an id with '' in it", ("stop", kept(tmp_path / "s", RUNNING), "")


def two_of_them(tmp_path):
    path = kept(tmp_path / "plans.sqlite", FAILED, RUNNING)
    return f"2 plans have an id with '019' in it: {RUNNING.id}", ("watch", path, "019")


def no_file(tmp_path):
    return "No such file", ("report", tmp_path / "none.json")


def damaged(tmp_path):
    (tmp_path / "plan.json").write_text(document.to_json(FAILED)[:-100])
    return "is not a plan", ("report", tmp_path / "plan.json")


def store_for_a_file(tmp_path):
    return "say which plan of it", ("report", kept(tmp_path / "plans.sqlite", FAILED))


def nowhere_to_write(tmp_path):
    path = kept(tmp_path / "plans.sqlite", FAILED)
    return "none/plan.html", ("report", path, FAILED.id, "-o", tmp_path / "none/plan.html")


def damaged_in_its_store(tmp_path):
    path = kept(tmp_path / "plans.sqlite", FAILED)
    with sqlite3.connect(path) as db:
        db.execute("UPDATE states SET state = '{\"state\": 7}'")
    db.close()
    return f"the plan {FAILED.id}", ("show", path, FAILED.id)


def password(tmp_path):
    return "can be seen by all", ("list", "postgresql://fleet:hunter2@127.0.0.1/plans")


CANNOT = [
    *(no_store, unknown, damaged, password),
    *(
        pytest.param(case, marks=each_starts_a_process)
        for case in (
            *(no_database, folder, of_another_program, newer, unknown_end, no_id, two_of_them, no_file),
            *(store_for_a_file, nowhere_to_write, damaged_in_its_store),
        )
    ),
]


@pytest.mark.parametrize("case", CANNOT, ids=lambda case: case.__name__)
def test_what_cannot_be_is_told_in_a_line(tmp_path, case):
    words, command = case(tmp_path)
    before = sorted(tmp_path.iterdir())
    status, told, errors = run(*command)
    assert (status, told) == (3, "")
    assert words in errors
    assert errors.startswith("paas-plans: ")
    assert errors.count("\n") == 1
    assert "hunter2" not in errors
    assert sorted(tmp_path.iterdir()) == before


WRONG = (
    "",
    "show",
    "list s --status fine",
    "list s --since noon",
    "list s --since 2d",
    "list s --group 7",
)


@each_starts_a_process
def test_a_store_that_stays_locked_is_told(tmp_path):
    path = kept(tmp_path / "plans.sqlite", RUNNING)
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("BEGIN EXCLUSIVE")
    status, _, errors = run("stop", path, RUNNING.id)
    db.close()
    assert (status, errors) == (3, f"paas-plans: {path}: database is locked\n")


@each_starts_a_process
@pytest.mark.parametrize("command", WRONG)
def test_a_wrong_command_line_ends_with_status_2(command):
    status, told, errors = run(*command.split())
    assert (status, told) == (2, "")
    assert errors.startswith("usage: paas-plans")


def test_the_help_teaches(store):
    status, told, _ = run("--help")
    assert status == 0
    for words in ("examples:", "paas-plans report plan.json", "PGPASSWORD", "exit status:", "  130  "):
        assert words in told
    for command in ("list", "show", "report", "watch", "stop"):
        assert f"\n    {command} " in told
        assert f"paas-plans {command} plans.sqlite" in told


@each_starts_a_process
def test_a_reader_leaves_the_store_to_who_runs_its_plans(tmp_path):
    path = kept(tmp_path / "plans.sqlite", RUNNING)

    async def look():
        running = SQLiteStore(path)
        await running.open(running_plans=True)
        try:
            return await asyncio.to_thread(run, "show", path, RUNNING.id)
        finally:
            await running.close()

    assert asyncio.run(look())[0] == 0


@each_starts_a_process
def test_a_store_on_postgresql_is_read_with_a_password_that_is_no_argument(database):
    from paas_plans.stores.postgres import PostgresStore

    scheme, password, rest = re.fullmatch(r"(.*)(:[^/:]*)(@.*)", database.url.reveal()).groups()
    with_it, without = database.url.reveal(), scheme + rest

    async def keep():
        store = PostgresStore(with_it)
        await store.open(running_plans=True)
        await store.create(document.document(FAILED, None))
        await store.close()

    asyncio.run(keep())
    status, told, _ = run("show", without, FAILED.id, PGPASSWORD=password[1:])
    assert (status, told.splitlines()[0].endswith("reason: block")) == (0, True)
    status, _, errors = run("show", with_it, FAILED.id)
    assert (status, "can be seen by all" in errors, password in errors) == (3, True, False)
