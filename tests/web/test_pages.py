"""What the pages say, that they change nothing, and what they survive."""

import re
from html.parser import HTMLParser

import httpx
import pytest

from paas_runner.job import events as ev
from paas_runner.job.lifecycle import apply
from paas_runner.logs import redactor
from paas_runner.secret import Secret
from paas_runner.web import api, rendering
from paas_runner.web.api import bounded
from paas_runner.web.contents import PAGES
from paas_runner.web.rendering import clean
from tests.support.sharing import holding, standby
from tests.support.watched_world import BUILD, MINUTE, NAMES, NOW, SECOND, failed, outage, record, silent

PATHS = ["/", "/jobs", "/jobs/4712", "/jobs/4500", "/failures", "/hosts", "/costs", "/costs?by=day&since=7d"]


class Seen(HTMLParser):
    """The words of a page, and its tags with their attributes."""

    def __init__(self, html):
        super().__init__()
        self.words, self.tags, self._quiet = [], [], 0
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


@pytest.fixture
def read(look):
    async def read(path, status=200):
        answer = await look(path)
        assert answer.status_code == status, answer.text
        return Seen(answer.text)

    return read


async def test_the_first_page_says_what_runs_what_waits_and_why_what_failed_and_what_it_costs(read):
    text = (await read("/")).text
    assert "The service is running" in text
    assert "4 running, of 11 jobs" in text
    assert "deploy no room the runner's limit = 1 is reached" in text
    assert "2 tries have failed, the last: clever-cloud, create: 503 Service Unavailable" in text
    assert "10 failed within 24 h" in text
    assert "8 hosts, 0.484 an hour" in text


async def test_each_job_has_a_bar_of_its_phases_that_is_said_in_words_too(read):
    bars = [attributes for tag, attributes in (await read("/")).tags if attributes.get("class") == "bar"]
    assert len(bars) == 11
    assert bars[0]["aria-label"].startswith("acquired 1 s, provisioning 8 s, provisioned 1 s, launching 2 s")


async def test_the_page_of_a_job_has_its_whole_history_whether_it_is_there_or_gone(read):
    there, gone = (await read("/jobs/4712")).text, (await read("/jobs/4500")).text
    assert "the job cannot be run : runner_system_failure: The job's host did not begin with it" in there
    assert "Next now: tell the author in the job's log" in there
    assert "gone" in gone
    assert "Runner build Kq3vTn8x" in gone
    assert "the host is gone" in gone
    assert "Next" not in gone


async def test_failures_are_told_by_cause_with_what_their_authors_read(read):
    text = (await read("/failures")).text
    assert "10 failures within 24 h" in text
    assert "5 The host for this job could not be made." in text
    assert "Answer: clever-cloud: 503 Service Unavailable" in text


async def test_hosts_costs_and_orphans_have_their_numbers(read):
    hosts, costs = (await read("/hosts")).text, (await read("/costs")).text
    assert "hpd-job-Kq3vTn8x-4402 app_0000dead seen once" in hosts
    assert "could not be asked: clever-cloud, applications: 401 Unauthorized" in hosts
    assert re.search(r"orga_red 13 3 2 h 5 min 0\.2535", costs)
    assert "Total 38 8" in costs


async def test_jobs_that_wait_for_room_are_told_with_what_takes_it(world, read):
    world.jobs = [record(3 * n + 2, (20 - n) * SECOND, until=ev.ProvisionIntended) for n in range(8)]
    text = (await read("/")).text
    assert "2 jobs do not get on" in text
    assert text.count("its host weighs 8.0, and 48.0 of the quota of 48.0 is taken") >= 2
    assert "build no room job 20 waits for room: its host weighs 8.0" in text


async def test_during_an_outage_the_page_says_so(world, read):
    world.more = outage()
    text = (await read("/")).text
    assert "the records cannot be written: No space left on device" in text
    assert "build backing off" in text
    world.services = [silent(service) for service in world.services]
    text = (await read("/")).text
    assert "Clever Cloud unreachable , answered last at 2026-11-20 11:57:00" in text
    assert "it has not answered well 9 times in a row" in text
    world.more = {"draining": True}
    assert "The service is draining" in (await read("/")).text
    world.more = {"stopping": True}
    assert "the service is stopping: it goes on at the next start" in (await read("/")).text


async def test_a_process_that_stands_by_says_who_works_and_shows_all_processes(world, read):
    world.jobs, world.services = [], [silent(service) for service in world.services]
    world.more = {"elsewhere": frozenset(NAMES), "sharing": standby()}
    text = (await read("/")).text
    assert "The service stands by" in text
    assert "standby: alpha (2 runners) works" in text
    assert "build elsewhere 14 alpha has it since 2026-11-20 09:59:58, 14 jobs" in text
    assert "alpha 1.4.0 standby 2 2026-11-20 08:59:58 11:59:57 20 jobs, 10 in provisioning" in text
    assert "unreachable" not in text.partition("Coordinators")[0], "it asks nobody, and what it knows is old"
    assert "Runners that ask for no jobs" not in text


async def test_searches_of_a_runner_that_another_process_has_now_are_not_shown_any_more(world, read):
    assert "hpd-job-Kq3vTn8x-4402" in (await read("/hosts")).text
    world.searches.left(BUILD, [])
    assert "hpd-job-Kq3vTn8x-4402" not in (await read("/hosts")).text
    assert world.searches.results == []


async def test_a_store_of_several_processes_that_does_not_answer_is_a_trouble(world, read):
    world.more = {"sharing": holding(trouble="connection refused", silent_for=9.0)}
    text = (await read("/")).text
    assert "The store does not answer" in text
    assert "cannot be reached since 11:59:51: connection refused" in text


async def test_a_store_that_cannot_be_read_hides_nothing_else(world, read):
    world.path.unlink()
    text = (await read("/")).text
    assert "The store cannot be read" in text
    assert "#4690" in text
    assert "1+ failed within 24 h" in text  # the one that is still tracked
    assert "The store cannot be read" in (await read("/jobs")).text
    assert "The store cannot be read" in (await read("/costs", 503)).text
    assert "4690" in (await read("/jobs/4690")).text
    assert "The store cannot be read" in (await read("/jobs/999999", 503)).text


async def test_a_service_without_jobs_has_a_page(world, read):
    world.jobs = []
    assert "No job is here." in (await read("/")).text
    assert "No host is there." in (await read("/hosts")).text


@pytest.mark.parametrize("path", PATHS)
async def test_every_page_has_one_heading_a_language_a_title_and_a_way_past_the_menu(look, path):
    seen = Seen((await look(path)).text)
    tags = [tag for tag, _ in seen.tags]
    assert tags.count("h1") == tags.count("main") == 1
    assert ("html", {"lang": "en"}) in seen.tags
    assert tags.count("title") >= 1
    assert ("a", {"class": "skip", "href": "#main"}) in seen.tags


@pytest.mark.parametrize("path", [*PATHS, "/nothing", "/static/page.css"])
async def test_nothing_from_elsewhere_is_loaded_or_run(look, path):
    answer = await look(path)
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    for tag, attributes in Seen(answer.text).tags:
        assert not [name for name in attributes if name == "style" or name.startswith("on")], tag
        assert tag not in ("style", "iframe", "object", "base")
        assert not [
            link for name in ("src", "href", "action") if (link := attributes.get(name)) and "//" in link
        ]


async def test_there_is_nothing_to_be_changed(world):
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(world.app()), base_url="http://127.0.0.1"
    ) as client:
        for path in {page.path.replace("{job}", "1") for page in PAGES} | {"/static/page.css", "/find"}:
            for method in ("POST", "PUT", "PATCH", "DELETE"):
                assert (await client.request(method, path)).status_code == 405, (method, path)
            assert (await client.head(path)).status_code in (200, 303, 404)


@pytest.mark.parametrize(
    "path",
    [
        "/jobs/abc",
        "/jobs/0",
        "/jobs/" + "9" * 400,
        "/jobs?limit=0",
        "/jobs?phase=x",
        "/costs?since=1",
        "/?x=1",
    ],
)
async def test_what_cannot_be_asked_is_refused_in_words(read, path):
    assert "That cannot be asked" in (await read(path, 400)).text


async def test_a_job_is_found_by_its_number_its_runner_and_the_name_of_its_host(look):
    assert (await look("/find?job=%234712")).headers["location"] == "/jobs/4712"
    for name in ("Kq3vTn8x/4712", " hpd-job-Kq3vTn8x-4712 "):
        target = (await look("/find", params={"job": name})).headers["location"]
        assert target == "/jobs/4712?runner=Kq3vTn8x"
        assert (await look(target)).status_code == 200
    for wrong in ("", "abc", "//evil.example", "١٢", "1" * 30):
        assert (await look("/find", params={"job": wrong})).headers["location"] == "/jobs"
    assert "Nothing is known of that job" in (await look("/jobs/77")).text


async def test_a_file_that_has_not_changed_is_not_sent_again(look):
    tag = (await look("/static/page.css")).headers["etag"]
    assert (await look("/static/page.css", headers={"If-None-Match": tag})).status_code == 304
    assert (await look("/static/..%2Fpage.py")).status_code == 404


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }}{% include 'base.html' %}",
    "\u202egpj.exe\u2066\u2069\u200b",
    "\x00\x1b[31m\r\n\t\ud800",
    "عمل בניה",
    "&lt;b&gt; javascript:alert(1)",
]


@pytest.mark.parametrize("text", HOSTILE)
async def test_what_authors_write_is_shown_and_nothing_else(world, look, text):
    job = record(1, 5 * MINUTE, name=text, tenant=text)
    job = apply(job, ev.Deferred(until=NOW, trouble=text), NOW)
    world.jobs = [job, failed(record(2, 3 * MINUTE, name=text, tenant=text), 60 * SECOND, f"{text}\n{text}")]
    for path in ("/", "/jobs", "/jobs/1", "/failures", "/hosts", "/costs"):
        answer = await look(path)
        assert answer.status_code == 200
        tags = [tag for tag, _ in Seen(answer.text).tags]
        assert "img" not in tags
        assert tags.count("script") == 1
        assert "{{" not in text or "{{ 7 * 7 }}" in Seen(answer.text).text
        assert not [char for char in answer.text if not char.isprintable() and char != "\n"]


async def test_a_name_of_a_megabyte_does_not_make_a_page_of_a_megabyte(world, look):
    world.jobs = [
        failed(record(1, 5 * MINUTE, name="n" * 1_000_000, tenant="t" * 1_000_000), MINUTE, "x" * 1_000_000)
    ]
    for path in ("/", "/jobs", "/jobs/1", "/failures", "/hosts", "/costs"):
        assert len((await look(path)).content) < 100_000, path


async def test_a_registered_secret_is_in_no_page_and_in_no_answer(world, look):
    canary = "canary-page-0123456789"
    redactor.add([Secret(canary)])
    job = record(1, 5 * MINUTE, name=f"a {canary}", tenant=canary)
    world.jobs = [
        apply(job, ev.Deferred(until=NOW, trouble=f"refused: {canary}"), NOW),
        failed(record(2, 3 * MINUTE, name=canary), 60 * SECOND, f"{canary}\n{canary}"),
    ]
    world.more = {"backoffs": {}, "refused": {world.jobs[0].key: canary}}
    tokens = [job.token.reveal() for job in world.jobs]
    paths = ["/", "/jobs", "/jobs/1", "/jobs/2", "/failures", "/hosts", "/costs"]
    paths += [
        f"/api/v1{path}"
        for path in ("/status", "/jobs", "/jobs/1", "/jobs/2", "/hosts", "/costs", "/failures")
    ]
    for path in paths:
        answer = await look(path)
        assert answer.status_code == 200
        assert not [secret for secret in (canary, *tokens) if secret in answer.text], path


@pytest.mark.parametrize(("cut", "longest"), [(clean, rendering.LONGEST_TEXT), (bounded, api.LONGEST_TEXT)])
def test_where_a_text_is_cut_no_half_of_a_secret_is_left(cut, longest):
    redactor.add([Secret("canary-half-0123456789")])
    for before in range(longest - 30, longest + 1):
        shown = cut("x " * (before // 2) + "canary-half-0123456789" + " y" * longest)
        assert "canary" not in redactor.text(shown)
