"""`/api/v1/…`: the values of the commands, in bounds, with a document that tells the truth about them."""

import json

import attrs
import pytest

from paas_runner.job.cost_report import document, report, window
from paas_runner.status.report import to_data
from paas_runner.store import snapshot
from paas_runner.web import answers, moment, openapi
from paas_runner.web.api import LONGEST_TEXT, OPERATIONS, bounded
from tests.support.watched_world import MINUTE, NAMES, NOW, glance, record, silent


@pytest.fixture
def ask(look):
    async def ask(path, status=200):
        answer = await look(f"/api/v1{path}")
        assert answer.status_code == status, answer.text
        kind = "application/json" if status == 200 else "application/problem+json"
        assert answer.headers["content-type"] == kind
        return answer.json()

    return ask


async def test_the_status_is_that_of_the_command(world, ask):
    told = to_data(glance(world.jobs).status())
    jobs = told.pop("jobs")
    assert await ask("/status") == {**told, "tracked_jobs": len(jobs)}
    assert (await ask("/runners"))["runners"] == told["runners"]
    assert (await ask("/jobs?limit=1000"))["jobs"] == jobs


async def test_jobs_come_in_parts_and_as_they_are_asked_for(ask):
    whole = (await ask("/jobs"))["jobs"]
    part = await ask("/jobs?limit=3&offset=2")
    assert (part["jobs"], part["total"], part["offset"], part["limit"]) == (whole[2:5], 11, 2, 3)
    assert {job["phase"] for job in (await ask("/jobs?phase=running"))["jobs"]} == {"running"}
    assert [job["job"] for job in (await ask("/jobs?runner=deploy"))["jobs"]] == [4706]
    assert (await ask("/jobs?offset=5000"))["jobs"] == []


async def test_a_job_is_explained_as_by_the_command_also_when_it_is_gone(world, ask):
    assert await ask("/jobs/4712") == [to_data(each) for each in glance(world.jobs).explain(4712)]
    [gone] = await ask("/jobs/4500")
    assert gone["job"] is None
    assert gone["history"][-1]["what"] == "the host is gone"
    assert await ask("/jobs/4712?runner=Kq3vTn8x") == await ask("/jobs/4712")
    assert "nothing is known of job 4712" in (await ask("/jobs/4712?runner=Zr7mWp2d", 404))["detail"]


@pytest.mark.parametrize("by", ["tenant", "runner", "flavor", "job", "day"])
async def test_costs_are_those_of_the_command(world, ask, by):
    wanted = window("24h", None, NOW)
    found = snapshot.accounts(world.path, wanted.since, wanted.until)
    jobs = [*found.jobs, *world.jobs]
    told = document(report(found.charges, jobs, wanted, by, names=NAMES, now=NOW))
    answer = await ask(f"/costs?since=24h&by={by}&limit=1000")
    assert {name: answer[name] for name in told} == told
    assert answer["row_count"] == len(told["rows"])
    assert (await ask(f"/costs?since=24h&by={by}&limit=1"))["rows"] == told["rows"][:1]


async def test_a_host_that_is_in_the_ledger_is_not_counted_once_more(world, ask):
    before = (await ask("/costs?since=24h"))["total"]["jobs"]
    gone = snapshot.past_jobs(world.path, most=1000)[-1]
    charged = snapshot.charges(world.path, NOW - 1000 * MINUTE, NOW)[0]
    still = record(gone.key.job_id, 470 * MINUTE)
    world.jobs = [*world.jobs, attrs.evolve(still, host=attrs.evolve(still.host, ref=charged.host))]
    assert (await ask("/costs?since=24h"))["total"]["jobs"] == before


async def test_more_hosts_than_there_is_memory_for_are_refused_with_advice(look, monkeypatch):
    monkeypatch.setattr(moment, "MOST_CHARGES", 5)
    answer = await look("/api/v1/costs?since=4w&by=job")
    assert answer.status_code == 400
    assert "ask for less of it" in answer.json()["detail"]
    assert "paas-runner costs" in (await look("/costs?since=4w")).text
    assert (await look("/api/v1/costs?since=1m")).status_code == 200


async def test_who_answers_is_told_with_the_time_of_the_last_answer(world, ask):
    world.services[0] = silent(world.services[0])
    told = (await ask("/services"))["services"]
    assert [(each["service"], each["state"], each["failures_in_a_row"]) for each in told] == [
        ("Clever Cloud", "reached", 0),
        ("coordinator https://gitlab.example", "unreachable", 9),
    ]


async def test_hosts_orphans_and_failures(ask):
    hosts, orphans, failures = await ask("/hosts"), await ask("/orphans"), await ask("/failures?hours=1")
    assert hosts["sum"]["hosts"] == hosts["total"] == len(hosts["hosts"]) == 8
    assert [search["tenant"] for search in orphans["searches"]] == ["orga_blue", "orga_red"]
    assert orphans["hosts"][0]["verdict"] == "seen once"
    assert [cause["count"] for cause in failures["causes"]] == [1, 1]
    assert failures["total"] == 2


@pytest.mark.parametrize(
    ("path", "place", "name"),
    [
        ("/jobs?limit=0", "query", "limit"),
        ("/jobs?limit=1001", "query", "limit"),
        ("/jobs?limit=1e3", "query", "limit"),
        ("/jobs?limit=" + "9" * 5000, "query", "limit"),
        ("/jobs?offset=-1", "query", "offset"),
        ("/jobs?limit=1&limit=2", "query", "limit"),
        ("/jobs?phase=gone", "query", "phase"),
        ("/jobs?phase=", "query", "phase"),
        ("/jobs?page=1", "query", "page"),
        ("/jobs?runner=" + "x" * 201, "query", "runner"),
        ("/jobs/0", "path", "job"),
        ("/jobs/abc", "path", "job"),
        ("/costs?by=colour", "query", "by"),
        ("/costs?since=yesterday", "query", "since"),
        ("/failures?hours=745", "query", "hours"),
    ],
)
async def test_a_wrong_parameter_is_named_with_what_was_expected(ask, path, place, name):
    problem = await ask(path, 400)
    assert problem["where"] == {"in": place, "name": name}
    assert len(json.dumps(problem)) < 500


@pytest.mark.parametrize("query", ["since=2026-02-30", "since=2027-01-01", "until=2026-13-01"])
async def test_a_time_that_is_none_is_refused(ask, query):
    assert (await ask(f"/costs?{query}", 400))["detail"]


@pytest.mark.parametrize("path", ["/", "/nothing", "/jobs/1/2", "/jobs/", "/openapi.yaml"])
async def test_what_is_not_there_is_told_as_json(ask, path):
    assert (await ask(path, 404))["status"] == 404


async def test_a_store_that_cannot_be_read_is_told_as_json(world, ask):
    world.path.unlink()
    assert "there is no store" in (await ask("/costs", 503))["detail"]
    assert (await ask("/status"))["tracked_jobs"] == 11


async def test_the_document_names_every_path_and_every_class(ask):
    told = await ask("/openapi.json")
    assert told["openapi"] == "3.1.0"
    assert list(told["paths"]) == [f"/api/v1{each.path}" for each in OPERATIONS]
    assert {"StatusAnswer", "JobReport", "JobExplanation", "HistoryLine", "Problem"} <= set(
        told["components"]["schemas"]
    )
    assert all(list(path) == ["get"] for path in told["paths"].values())


async def test_an_answer_has_the_fields_that_the_document_says(ask):
    told = await ask("/openapi.json")
    status = told["components"]["schemas"]["StatusAnswer"]
    assert status["required"] == list(await ask("/status"))
    assert status["properties"]["service"] == {"$ref": "#/components/schemas/ServiceReport"}


def test_a_type_that_no_answer_may_have_is_no_schema():
    with pytest.raises(TypeError, match="has no schema"):
        openapi.Schemas().of(set[int])


def test_texts_are_bounded_and_can_be_written():
    assert bounded({"a": ["x" * (LONGEST_TEXT + 1), "\ud800é", 1, None]}) == {
        "a": ["x" * (LONGEST_TEXT - 1) + "…", "?é", 1, None]
    }


def test_what_is_wanted_is_a_name_or_a_short_token():
    status = glance([record(1, MINUTE)]).status()
    for runner in ("", "build", "Kq3vTn8x"):
        assert answers.jobs_answer(status, answers.JobsWanted(runner=runner)).total == 1
    assert answers.jobs_answer(status, answers.JobsWanted(runner="deploy")).total == 0
