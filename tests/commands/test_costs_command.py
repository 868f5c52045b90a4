"""`paas-runner costs` over real store files, as an operator runs it."""

import asyncio
import csv
import io
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
import pytest

from paas_runner import cli
from paas_runner.config import load
from paas_runner.executor.contract import installed
from paas_runner.job.cost import Charge
from paas_runner.job.cost_report import Window, window
from paas_runner.job.tracked import Host, JobKey, Phase
from paas_runner.store.sqlite import SqliteStore
from tests.support.records import job_in

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)

CONFIG = """
[[runners]]
  name = "paris"
  url = "https://coordinator.example"
  token = "abc123xyz-and-more"
  executor = "clever-docker"
  cc_orga_id = "orga_1"
  cc_token = "cloud-token-canary"
"""


def charge(job_id, since, hours, *, tenant="acme", flavor="M", runner="", price=1.5):
    return Charge(
        key=JobKey(runner, job_id),
        tenant=tenant,
        host=f"app_{job_id}",
        flavor=flavor,
        since=since,
        until=since + hours * HOUR,
        price=price,
    )


@attrs.define
class Installation:
    config: Path
    capsys: pytest.CaptureFixture
    runner: str

    @property
    def store(self):
        return self.config.with_name("paas-runner-state.db")

    def has(self, *charges, running=()):
        async def write():
            store = await SqliteStore.open(self.store)
            for each in charges:
                key = JobKey(each.key.runner or self.runner, each.key.job_id)
                await store.charge(attrs.evolve(each, key=key), keep_from=each.since)
            for record in running:
                await store.save(record)
            await store.aclose()

        asyncio.run(write())

    def costs(self, *options):
        """Exit code, answer and messages."""
        try:
            code = cli.main(["costs", str(self.config), *options])
        except SystemExit as ended:
            code = ended.code
        told = self.capsys.readouterr()
        return code, told.out, told.err

    def answer(self, *options):
        code, answer, messages = self.costs(*options)
        assert (code, messages) == (0, "")
        return answer


@pytest.fixture
def here(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    config = tmp_path / "config.toml"
    config.touch(mode=0o600)
    config.write_text(CONFIG)
    [runner] = load(config, environ={}, executors=installed()).runners
    return Installation(config, capsys, runner.short_token)


MARCH = ("--since", "2026-03-01", "--until", "2026-04-01")


def test_people_see_an_aligned_table_with_a_sum_and_what_it_means(here):
    here.has(
        charge(1, NOON, 1.5),
        charge(2, NOON, 100, tenant="heptapod", flavor="XL", price=6.8729),
        charge(3, NOON + HOUR, 0.25, tenant="", price=None),
        charge(4, NOON, 0.5, price=None),
    )
    assert here.answer(*MARCH).splitlines() == [
        "2026-03-01 00:00 to 2026-04-01 00:00 UTC, by tenant",
        "",
        "TENANT    JOBS  RUNNING       TIME      COST",
        "heptapod     1           100:00:00  687.2900",
        "acme         2             2:00:00    2.2500+",
        "-            1             0:15:00         -",
        "total        4           102:15:00  689.5400+",
        "",
        "TIME in hours:minutes:seconds; COST is an upper estimate in the provider's own unit.",
        "+ and what 2 jobs cost on hosts without a known price.",
    ]


def test_programs_get_the_same_as_json_with_exact_numbers(here):
    here.has(charge(1, NOON, 1 / 3, price=0.1), charge(2, NOON, 1, tenant="", price=None))
    assert json.loads(here.answer(*MARCH, "--json")) == {
        "since": "2026-03-01T00:00:00+00:00",
        "until": "2026-04-01T00:00:00+00:00",
        "by": "tenant",
        "rows": [
            {
                "tenant": "",
                "jobs": 1,
                "running": 0,
                "host_seconds": 3600.0,
                "estimated_cost": None,
                "unpriced_jobs": 1,
            },
            {
                "tenant": "acme",
                "jobs": 1,
                "running": 0,
                "host_seconds": 1200.0,
                "estimated_cost": 0.1 * (1200 / 3600),
                "unpriced_jobs": 0,
            },
        ],
        "total": {
            "jobs": 2,
            "running": 0,
            "host_seconds": 4800.0,
            "estimated_cost": 0.1 * (1200 / 3600),
            "unpriced_jobs": 1,
        },
    }


def test_programs_get_the_same_as_csv_without_a_sum(here):
    here.has(charge(1, NOON, 0.5, tenant='a "b", c'), charge(2, NOON, 1, price=None, tenant=""))
    assert here.answer(*MARCH, "--csv") == (
        "tenant,jobs,running,host_seconds,estimated_cost,unpriced_jobs\n"
        ",1,0,3600.0,,1\n"
        '"a ""b"", c",1,0,1800.0,0.75,0\n'
    )


@pytest.mark.parametrize(
    ("by", "rows"),
    [
        ("tenant", [["acme"], ["heptapod"]]),
        ("runner", [["{runner}", "paris"], ["gone12345", ""]]),
        ("flavor", [["M"], ["S"]]),
        (
            "job",
            [
                ["{runner}", "1", "acme", "M", "app_1"],
                ["gone12345", "2", "acme", "M", "app_2"],
                ["{runner}", "3", "heptapod", "S", "app_3"],
            ],
        ),
        ("day", [["2026-03-10"], ["2026-03-11"]]),
    ],
)
def test_rows_are_what_was_asked_for(here, by, rows):
    here.has(
        charge(1, NOON, 20),
        charge(2, NOON, 10, runner="gone12345"),
        charge(3, NOON, 1, tenant="heptapod", flavor="S"),
    )
    head, *found = csv.reader(io.StringIO(here.answer(*MARCH, "--by", by, "--csv")))
    width = len(rows[0])
    assert [row[:width] for row in found] == [
        [text.format(runner=here.runner) for text in row] for row in rows
    ]
    assert head[width:] == ["jobs", "running", "host_seconds", "estimated_cost", "unpriced_jobs"]
    assert sum(float(row[width + 2]) for row in found) == 31 * 3600
    assert sum(float(row[width + 3]) for row in found) == pytest.approx(31 * 1.5)


def test_a_job_of_two_days_is_one_job_in_the_sum(here):
    here.has(charge(1, NOON, 24))
    document = json.loads(here.answer(*MARCH, "--by", "day", "--json"))
    assert [(row["day"], row["jobs"], row["host_seconds"]) for row in document["rows"]] == [
        ("2026-03-10", 1, 12 * 3600),
        ("2026-03-11", 1, 12 * 3600),
    ]
    assert document["total"]["jobs"] == 1


def test_only_the_part_of_a_host_in_the_window_counts(here):
    here.has(charge(1, NOON, 10), charge(2, NOON - 10 * HOUR, 10), charge(3, NOON + 2 * HOUR, 1))
    options = ("--since", "2026-03-10T12:30", "--until", "2026-03-10T15:00+01:00")
    [row] = json.loads(here.answer(*options, "--json"))["rows"]
    assert (row["jobs"], row["host_seconds"]) == (1, 1.5 * 3600)


def test_hosts_that_are_still_there_are_counted_until_now_and_marked(here):
    now = datetime.now(UTC)
    record = attrs.evolve(
        job_in(Phase.RUNNING),
        key=JobKey(here.runner, 9),
        tenant="acme",
        host=Host(ref="app_9", flavor="M", price=2.0),
        host_since=now - 2 * HOUR,
    )
    done = charge(8, now - 10 * HOUR, 8)
    gone = attrs.evolve(record, key=JobKey(here.runner, 8), host=Host(ref="app_8", flavor="M"))
    here.has(done, running=[record, gone])
    [row] = json.loads(here.answer("--since", "1h", "--json"))["rows"]
    assert (row["jobs"], row["running"]) == (1, 1)
    assert row["host_seconds"] == pytest.approx(3600, abs=30)
    assert row["estimated_cost"] == pytest.approx(2.0, abs=0.02)
    table = here.answer("--since", "1h")
    assert table.splitlines()[3].split()[:4] == ["acme", "1", "1", "1:00:00"]
    assert "RUNNING hosts are counted until now." in table


def test_without_hosts_the_answer_is_that_there_were_none(here):
    here.has()
    answer = here.answer(*MARCH)
    assert answer == "2026-03-01 00:00 to 2026-04-01 00:00 UTC, by tenant: no hosts\n"
    assert json.loads(here.answer(*MARCH, "--json"))["rows"] == []
    assert len(here.answer(*MARCH, "--csv").splitlines()) == 1


NOW = datetime(2026, 3, 10, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("since", "until", "begin", "end"),
    [
        (None, None, datetime(2026, 3, 1, tzinfo=UTC), NOW),
        ("24h", None, NOW - 24 * HOUR, NOW),
        ("7d", "90m", NOW - 7 * 24 * HOUR, NOW - 1.5 * HOUR),
        ("1.5w", None, NOW - 1.5 * 7 * 24 * HOUR, NOW),
        ("2026-02-01", "2026-02-15", datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 2, 15, tzinfo=UTC)),
        (None, "2026-03-01", datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)),
        (None, "2026-01-05", datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 5, tzinfo=UTC)),
        ("2026-03-10T08:00", None, datetime(2026, 3, 10, 8, tzinfo=UTC), NOW),
        ("2026-03-10T08:00+02:00", None, datetime(2026, 3, 10, 6, tzinfo=UTC), NOW),
        ("2026-03-10", "2027-01-01", datetime(2026, 3, 10, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)),
    ],
)
def test_what_since_and_until_mean(since, until, begin, end):
    assert window(since, until, NOW) == Window(since=begin, until=end)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--since", "yesterday"], '--since: "yesterday" is no date (2026-03-01)'),
        (["--until", "31.12.2025"], '--until: "31.12.2025" is no date'),
        (["--since", ""], '--since: "" is no date'),
        (["--since", "99999999999999d"], "is no date"),
        (["--since", "9" * 400 + "d"], "is no date"),
        (["--until", "0001-01-01"], "nothing lies between"),
        (["--until", "0001-01-01T00:00+23:00"], "is no date"),
        (["--since", "2026-03-02", "--until", "2026-03-01"], "nothing lies between --since"),
        (["--by", "moon"], "invalid choice: 'moon'"),
        (["--json", "--csv"], "not allowed with argument"),
    ],
)
def test_wrong_arguments_end_with_2_and_say_what_is_meant(here, options, words):
    code, answer, messages = here.costs(*options)
    assert (code, answer) == (2, "")
    assert words in messages
    assert "Traceback" not in messages


def test_where_the_service_never_ran_there_is_no_store(here):
    code, answer, messages = here.costs()
    assert (code, answer) == (74, "")
    assert messages.startswith(
        f"paas-runner costs: {here.store}: there is no store; has the service ever run"
    )
    assert not here.store.exists()


@pytest.mark.parametrize("damage", [lambda whole: whole[:5000], lambda whole: b"", lambda whole: b"?" * 9000])
def test_a_damaged_store_is_told_in_one_line_and_left_as_it_is(here, damage):
    here.has(*(charge(number, NOON, 1) for number in range(1, 200)))
    here.store.write_bytes(damage(here.store.read_bytes()))
    before = here.store.read_bytes()
    code, answer, messages = here.costs(*MARCH, "--json")
    assert (code, answer) == (74, "")
    assert messages.startswith(f"paas-runner costs: {here.store}: ")
    assert messages.count("\n") == 1
    assert here.store.read_bytes() == before


def test_a_wrong_configuration_ends_with_78(here):
    here.config.write_text("concurrent = 0")
    code, answer, messages = here.costs()
    assert (code, answer) == (78, "")
    assert "config.toml:1: concurrent" in messages


def test_the_service_may_run_meanwhile_and_nothing_is_written(here):
    async def meanwhile():
        store = await SqliteStore.open(here.store)
        await store.charge(charge(1, NOON, 1), keep_from=NOON)
        code, answer, _ = await asyncio.to_thread(here.costs, *MARCH, "--csv")
        assert (code, answer.splitlines()[1]) == (0, "acme,1,0,3600.0,1.5,0")
        await store.charge(charge(2, NOON, 1), keep_from=NOON)
        await store.aclose()

    asyncio.run(meanwhile())
    before = {path.name: path.read_bytes() for path in here.config.parent.iterdir()}
    here.costs(*MARCH)
    assert {path.name: path.read_bytes() for path in here.config.parent.iterdir()} == before


def test_a_reader_that_has_seen_enough_gets_no_traceback(here):
    here.has(*(charge(number, NOON, 1) for number in range(1, 3000)))
    command = [Path(sys.executable).parent / "paas-runner", "costs", here.config, *MARCH, "--by", "job"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert b"by job" in process.stdout.readline()
        process.stdout.close()
        assert process.wait(60) == 1
        assert process.stderr.read() == b""
