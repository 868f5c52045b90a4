"""`paas-runner costs --rightsize` over a real store file, as an operator runs it."""

import json
from datetime import timedelta

import attrs
import pytest

from paas_runner.commands import rightsizing
from paas_runner.job.use import FlavorSize, Use
from tests.commands.test_costs_command import MARCH, NOON, charge, here

__all__ = ["here"]  # the fixture

GIB = 2**30
OFFER = [
    FlavorSize(name="S", memory_bytes=4 * GIB, cpus=2.0, price=0.5),
    FlavorSize(name="M", memory_bytes=8 * GIB, cpus=4.0, price=1.5),
]


def measured(job_id, mib, *, cpus=0.5, name="test", project="acme/shop", **changes):
    return attrs.evolve(
        charge(job_id, NOON + job_id * timedelta(minutes=1), 1.0),
        project=project,
        job_name=name,
        memory_bytes=8 * GIB,
        cpus=4.0,
        use=Use(memory_bytes=mib * 2**20, cpu_seconds=cpus * 60, wall_seconds=60.0),
        **changes,
    )


@pytest.fixture
def offered(monkeypatch, here):
    monkeypatch.setattr(rightsizing, "offers", lambda config: {here.runner: OFFER})


def test_people_see_for_each_job_what_it_used_and_which_flavor_would_do(here, offered):
    here.has(
        *(measured(number, 300 + number) for number in range(1, 11)),
        measured(11, 7000, cpus=3.2, name="build"),
        measured(12, 400, name="lint", project="", price=None),
        attrs.evolve(measured(13, 0, name="build"), use=None),
        charge(14, NOON, 1),
    )
    table, means = here.answer(*MARCH, "--rightsize").rstrip("\n").split("\n\n")[1:]
    assert [" ".join(line.split()) for line in table.splitlines()[1:]] == [
        "acme/shop test 10 305 MiB 310 MiB 0.50 0.50 M S medium 9.8185",
        "- lint 1 400 MiB 400 MiB 0.50 0.50 M S low -",
        "acme/shop build 1/2 6.84 GiB 6.84 GiB 3.20 3.20 M M low 0.0000",
    ]
    assert means.splitlines() == [
        "MEMORY is a run's peak, CPUS are those it kept busy on average; P95: 19 of 20 runs took no more.",
        "SAVED A MONTH: as if each month were like this time, at the provider's prices, in its own unit.",
        "-: there is no price, or the size of the flavors is not known.",
        "RUNS a/b: only a of b were measured.",
    ]


def test_programs_get_the_same_as_json(here, offered):
    here.has(measured(1, 300), measured(2, 310))
    answer = json.loads(here.answer(*MARCH, "--rightsize", "--json"))
    [row] = answer.pop("rows")
    assert answer == {"since": "2026-03-01T00:00:00+00:00", "until": "2026-04-01T00:00:00+00:00"}
    assert row.pop("saved_per_month") == pytest.approx(2 * 1.0 * 30.4375 / 31)
    assert row == {
        "runner": here.runner,
        "name": "paris",
        "project": "acme/shop",
        "job": "test",
        "runs": 2,
        "measured_runs": 2,
        "memory_bytes": {"p50": 300 * 2**20, "p95": 310 * 2**20},
        "cpus": {"p50": 0.5, "p95": 0.5},
        "flavors": ["M"],
        "would_do": "S",
        "confidence": "low",
    }


def test_without_the_provider_the_flavors_that_jobs_had_are_compared(here):
    here.has(measured(1, 300), attrs.evolve(measured(2, 300, name="lint"), flavor="S", memory_bytes=4 * GIB))
    rows = json.loads(here.answer(*MARCH, "--rightsize", "--offline", "--json"))["rows"]
    assert {row["job"]: row["would_do"] for row in rows} == {"test": "S", "lint": "S"}


def test_a_provider_that_does_not_answer_is_named_and_the_answer_comes_all_the_same(here, monkeypatch):
    text = here.config.read_text().replace("cc_orga_id", 'cc_api_url = "http://127.0.0.1:9/v2"\n  cc_orga_id')
    here.config.write_text(text)
    monkeypatch.setattr(rightsizing, "ANSWER_SECONDS", 0.2)
    here.has(measured(1, 300))
    code, answer, messages = here.costs(*MARCH, "--rightsize")
    assert (code, "acme/shop  test" in answer) == (0, True)
    assert messages.startswith("paas-runner costs: paris: ")
    assert messages.endswith("its flavors are taken to be those that its jobs had in that time\n")


def test_where_nothing_was_measured_that_is_said(here):
    here.has(charge(1, NOON, 1))
    assert here.answer(*MARCH, "--rightsize", "--offline") == (
        "2026-03-01 00:00 to 2026-04-01 00:00 UTC, by project and job: nothing was measured\n"
    )


def test_names_of_authors_cannot_move_the_cursor(here, offered):
    here.has(measured(1, 300, name="a\x1b[2Jb\nc"))
    assert "\x1b" not in here.answer(*MARCH, "--rightsize")


def test_there_is_no_sheet_of_it(here):
    code, answer, messages = here.costs("--rightsize", "--csv")
    assert (code, answer) == (2, "")
    assert "use --json" in messages


def test_rows_by_something_else_are_refused_rather_than_not_shown(here):
    code, answer, messages = here.costs("--rightsize", "--by", "day")
    assert (code, answer) == (2, "")
    assert "its rows are projects and job names" in messages
