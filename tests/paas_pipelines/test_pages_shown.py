"""What the pages of pipelines show, whatever it is, and below any prefix."""

import attrs
import httpx
import pytest
from paas_pipelines.api.routes import create_app
from paas_pipelines.definitions.definition import OnError, TaskDefinition
from paas_pipelines.pages.graph import graph
from paas_pipelines.pages.log_tail import TAIL_BYTES, plain
from paas_pipelines.pages.site import PER_PAGE, PipelinePages
from paas_pipelines.runs.run import Run, Task
from starlette.applications import Starlette
from starlette.routing import Mount

from tests.support.pipeline_pages import OF_OUR_PAGES, Seen, token, visiting
from tests.support.served_pipelines import definition, now, served

HOSTILE = "<script>alert(1)</script>\"'>&\u202e\x1b[31m"


@pytest.fixture
async def visited(tmp_path):
    async with visiting(served(tmp_path, definition(), definition("other", concurrency=2))) as found:
        yield found


async def test_the_first_page_lists_pipelines_with_what_runs_and_waits(visited):
    for _ in range(3):
        await visited.world.schedule()
    page = await visited.read("/")
    assert "2 pipelines" in page.text
    assert "other 0 0 yes All" in page.text
    assert "release_it 1 2 yes All" in page.text
    ids = [link for link in page.links() if link.startswith("run?id=")]
    assert len(ids) == 3
    assert page.text.count("waiting") == 2


async def test_a_pipeline_that_takes_no_more_says_so(tmp_path):
    async with visiting(served(tmp_path, definition("full", queue_limit=0))) as visited:
        await visited.world.schedule("full")
        assert "full 1 0 not now" in (await visited.read("/")).text
        assert "No run would be taken now" in (await visited.read("/pipeline?name=full")).text


async def test_a_pipeline_shows_its_last_runs(visited):
    ids = [await visited.world.schedule() for _ in range(2)]
    for run_id in ids:
        visited.world.engine.cancel(run_id)
    page = await visited.read("/pipeline?name=release_it")
    assert [link for link in page.links() if link.startswith("run?id=")].count(f"run?id={ids[1]}") == 1
    assert "Last runs" in page.text
    assert (await visited.read("/pipeline?name=other")).text.count("None.") == 1


async def test_runs_are_listed_newest_first_in_parts_and_by_pipeline(visited):
    ids = [await visited.world.schedule("release_it" if n % 2 else "other") for n in range(PER_PAGE + 6)]
    newest_first = [f"run?id={each}" for each in reversed(ids)]
    page = await visited.read("/runs")
    shown = [each["href"] for each in page.all("a") if (each["href"] or "").startswith("run?")]
    assert shown == newest_first[:PER_PAGE]
    [following] = [each for each in page.all("a") if each.get("rel") == "next"]
    page = await visited.read(f"/{following['href']}")
    shown = [each["href"] for each in page.all("a") if (each["href"] or "").startswith("run?")]
    assert shown == newest_first[PER_PAGE:]
    page = await visited.read("/runs?pipeline=other")
    shown = [each["href"] for each in page.all("a") if (each["href"] or "").startswith("run?")]
    assert shown == newest_first[1::2]
    assert "28 runs of other" in page.text
    assert (await visited.read("/runs?pipeline=no")).text.count("None.") == 1
    await visited.read("/runs?offset=-1", 400)


async def test_a_run_shows_its_graph_its_tasks_and_what_it_was_given(visited):
    run_id = await visited.world.schedule(variables={"version": "1.2", "list": [1, {"a": None}]})
    visited.world.end(run_id, "lint")
    page = await visited.read(f"/run?id={run_id}")
    assert "release_it : running" in page.text
    assert "lint done" in page.text
    assert "deploy waiting build , test , lint" in page.text
    assert "version 1.2" in page.text
    assert 'list [1, {"a": null}]' in page.text
    assert run_id in page.text
    boxes = [each["class"] for each in page.all("rect") if "width" in each and each["width"] == "170"]
    assert sorted(boxes) == ["state-done", "state-running", "state-running", "state-waiting", "state-waiting"]
    assert len(page.all("path")) == 4
    columns = {each["x"] for each in page.all("rect") if each.get("width") == "170"}
    assert len(columns) == 3


async def test_the_run_tells_how_it_went(visited):
    run_id = await visited.world.schedule()
    assert "Cancel this run" in (await visited.read(f"/run?id={run_id}")).text
    visited.world.complete(run_id)
    page = await visited.read(f"/run?id={run_id}")
    assert "release_it : done" in page.text
    assert "Cancel this run" not in page.text
    [main] = page.all("main")
    assert main["data-refresh"] == "0"


async def test_what_runs_after_a_failure_stands_last(tmp_path):
    hooked = definition("hooked", tasks={"a": TaskDefinition(script=("a",))}, on_error=OnError(script=("b",)))
    async with visiting(served(tmp_path, hooked)) as visited:
        run_id = await visited.world.schedule("hooked")
        visited.world.end(run_id, "a", exit_code=3)
        page = await visited.read(f"/run?id={run_id}")
        assert "on_error" in page.text
        assert len({each["x"] for each in page.all("rect") if each.get("width") == "170"}) == 2
        visited.world.end(run_id, "on_error")
        assert "hooked : error" in (await visited.read(f"/run?id={run_id}")).text


async def test_a_task_shows_the_end_of_its_log_and_leads_to_all_of_it(visited):
    run_id = await visited.world.schedule()
    output = visited.world.served.logs.output(run_id, "lint")
    output.stdout(b"".join(b"line %06d\n" % number for number in range(10_000)))
    output.stderr(b"not yet whole: \xe2\x82")
    page = await visited.read(f"/task?id={run_id}&task=lint")
    assert "line 009999" in page.text
    assert "line 000001" not in page.text
    assert "The last 64 KiB of 117" in page.text
    [logs] = [each for each in page.all("div") if each.get("id") == "logs"]
    assert logs["data-follow"].endswith(
        "&lastEventId=120000-15"
    )  # what is missing of a character comes later
    first = page.html.partition("<pre")[2].partition("\n")[2].partition("\n")[0]
    assert first.startswith("line ")
    assert len(page.html) < 2 * TAIL_BYTES
    whole = await visited.browser.get(f"/job/logs?id={run_id}&task=lint&stream=stdout")
    assert len(whole.content) == 120_000
    output.close()
    visited.world.end(run_id, "lint", exit_code=4)
    page = await visited.read(f"/task?id={run_id}&task=lint")
    assert "lint : error" in page.text
    assert "Exit code 4" in page.text
    assert "data-follow" not in page.html
    assert "follow.js" not in page.html


def test_of_what_tasks_write_nothing_moves_and_nothing_hides():
    assert plain("\x1b[1;31mred\x1b[0m \x1b]0;title\x07\x1b]8;;http://x\x1b\\link\x1b(B") == "red link"
    assert plain("a\r\nb\tc\r50\xa0%\x00\x07\u202eé\u2028") == "a\nb\tc\n50\xa0%···é·"


async def test_hostile_names_and_texts_are_only_text(tmp_path):
    tasks = {HOSTILE: TaskDefinition(script=("x",)), "b": TaskDefinition(depends_on=(HOSTILE,))}
    async with visiting(served(tmp_path, definition(HOSTILE, tasks=tasks))) as visited:
        run_id = await visited.world.schedule(HOSTILE, variables={HOSTILE: HOSTILE, "x": {HOSTILE: HOSTILE}})
        visited.world.served.logs.output(run_id, "b").stdout(f"{HOSTILE}\xff".encode("latin-1", "replace"))
        clean = Seen((await visited.browser.get("/login")).text)
        for path in ("/", "/runs", f"/run?id={run_id}", f"/task?id={run_id}&task=b"):
            page = await visited.read(path)
            links = sorted(link for link in page.links() if "pipeline?" in link or "task?" in link)
            for link in links:
                await visited.read(f"/{link}")
            assert len(page.all("script")) - ("follow.js" in page.html) == len(clean.all("script"))
            assert not {"\x1b", "\u202e"} & set(page.html)
            assert not any(name.startswith("on") or name == "style" for _, each in page.tags for name in each)
        visited.world.end(run_id, HOSTILE, error=HOSTILE)
        assert "alert(1)" in (await visited.read(f"/run?id={run_id}")).text


async def test_names_with_halves_of_characters_are_shown_somehow(tmp_path):
    """Definitions and imported runs may have them."""
    half = "a\ud800b"
    tasks = {half: TaskDefinition(script=("x",)), "b": TaskDefinition(depends_on=(half,))}
    async with visiting(served(tmp_path, definition(half, tasks=tasks))) as visited:
        run = visited.world.engine.schedule(half, variables={half: half, "x": [half]}, user=half)
        visited.world.end(run.run_id, half, error=half)
        for path in ("/", "/runs", f"/run?id={run.run_id}", f"/task?id={run.run_id}&task=b"):
            assert "a b" in (await visited.read(path)).text


async def test_graphs_of_any_run_are_drawn_or_left_out(tmp_path):
    """Imported runs may depend on what they do not have, or in circles."""
    tasks = {
        "a": TaskDefinition(depends_on=("b", "gone")),
        "b": TaskDefinition(depends_on=("a",)),
        "c": TaskDefinition(depends_on=("c",)),
        "d": TaskDefinition(),
    }
    run = Run(
        run_id="52a5cb79-7556-4c52-8e6f-dd6aaf1bc4c8",
        number=1,
        pipeline="imported",
        created=now(),
        tasks=tuple(Task(name=name, definition=each) for name, each in tasks.items()),
        completed=True,
    )
    assert len(graph(run).boxes) == 4
    assert graph(attrs.evolve(run, tasks=())) is None
    many = tuple(Task(name=f"t{number}") for number in range(1000))
    assert graph(attrs.evolve(run, tasks=many)) is None
    async with visiting(served(tmp_path, runs=(run,))) as visited:
        assert "imported : done" in (await visited.read(f"/run?id={run.run_id}")).text
        assert "1 run" in (await visited.read("/runs?pipeline=imported")).text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/run", 400),
        ("/run?id=52a5cb79-7556-4c52-8e6f-dd6aaf1bc4c8", 404),
        ("/task?id=52a5cb79-7556-4c52-8e6f-dd6aaf1bc4c8&task=a", 404),
        ("/pipeline?name=unknown", 404),
        ("/static/../secret", 404),
        ("/static/nothing", 404),
    ],
)
async def test_what_is_not_there_is_said(visited, path, status):
    assert (await visited.browser.get(path)).status_code == status


async def test_nothing_is_loaded_from_elsewhere_run_inline_framed_or_kept(visited):
    for path in ("/", "/runs", "/login", "/run?id=x", "/pipeline?name=release_it"):
        answer = await visited.browser.get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"


async def test_the_api_is_what_it_was(visited):
    assert (await visited.browser.get("/pipelines")).headers["content-type"] == "application/json"
    assert (await visited.browser.get("/nothing")).text == "404 page not found\n"
    visited.browser.cookies.clear()
    assert (await visited.browser.get("/pipelines")).status_code == 401


async def test_below_a_prefix_every_link_stays_there_and_the_api_stays_closed(tmp_path):
    parts = served(tmp_path)
    run = parts.engine.schedule("release_it", variables={})
    app = Starlette(routes=[Mount("/ci/api", create_app(parts, own_routes=PipelinePages(parts).routes()))])
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="https://ci", headers=OF_OUR_PAGES) as browser:
        for path in ("pipelines", "pipelines/jobs", f"job/detail?id={run.run_id}", "runs/stream"):
            assert (await browser.get(f"/ci/api/{path}")).status_code == 401, path
        refused = await browser.get(f"/ci/api/run?id={run.run_id}")
        assert str(refused.next_request.url).startswith("https://ci/ci/api/login?next=")
        entered = await browser.post(
            "/ci/api/login", data={"token": token(), "next": f"run?id={run.run_id}"}, follow_redirects=True
        )
        assert str(entered.url) == f"https://ci/ci/api/run?id={run.run_id}"
        todo, done = [str(entered.url)], set()
        while todo:
            done.add(url := todo.pop())
            answer = await browser.get(url)
            assert answer.status_code == 405 if url.endswith("/logout") else 200, url
            if answer.headers["content-type"].startswith("text/html"):
                for link in Seen(answer.text).links():
                    found = str(answer.url.join(link))
                    assert found.startswith("https://ci/ci/api/"), found
                    if found not in done and "follow=" not in found:
                        todo.append(found)
        assert {httpx.URL(url).path.removeprefix("/ci/api/") for url in done} >= {
            *("", "runs", "run", "task", "pipeline", "job/logs", "job/detail"),
            *("static/page.css", "static/pipelines.css", "static/follow.js"),
        }
