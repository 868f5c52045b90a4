"""Forms of the pages: starting, canceling, logging in and out; who may post them, and what is wrong where."""

import json
from datetime import timedelta

import attrs
import httpx
import pytest
from paas_pipelines.definitions.definition import QueueStrategy
from paas_pipelines.definitions.parameter import Parameter, ParameterKind
from paas_pipelines.pages.framing import form_token
from paas_pipelines.pages.start_form import empty_form, filled_form

from paas_runner.store.protocol import StoreError
from tests.support.memory_journal import MemoryJournal
from tests.support.pipeline_pages import Seen, token, visiting
from tests.support.served_pipelines import SECRET, definition, now, served

PARAMS = (
    Parameter(name="version", description="What to <build>", required=True),
    Parameter(name="copies", kind=ParameterKind.NUMBER, default=2),
    Parameter(name="dry", kind=ParameterKind.BOOLEAN, default=True),
    Parameter(name="target", choices=("test", "live"), default="test", required=True),
    Parameter(name="level", kind=ParameterKind.NUMBER, choices=(1, 2.5)),
    Parameter(name="note"),
)

RELEASE = definition(params=PARAMS)
GOOD = {"v.version": "1.2", "v.copies": "3", "v.target": "live"}


@pytest.fixture
async def visited(tmp_path):
    definitions = [RELEASE, definition("free", concurrency=9), definition("full", queue_limit=0)]
    async with visiting(served(tmp_path, *definitions)) as found:
        yield found


def run_of(visited, answer):
    assert answer.status_code == 303, answer.text
    return visited.world.engine.book.run(answer.headers["location"].removeprefix("run?id="))


async def test_a_start_form_is_made_from_what_the_definition_declares(visited):
    page = await visited.read("/pipeline?name=release_it")
    inputs = {each["name"]: each for each in page.all("input")}
    assert "required" in inputs["v.version"]
    assert inputs["v.copies"]["value"] == "2"
    assert "checked" in inputs["v.dry"]
    assert [each["name"] for each in page.all("select")] == ["v.target", "v.level"]
    assert [each["value"] for each in page.all("option")] == ["", "test", "live", "", "1", "2.5"]
    assert [each["value"] for each in page.all("option") if "selected" in each] == ["test"]
    assert "What to <build>" in page.text
    labels = {each["for"] for each in page.all("label")}
    assert labels == {
        each["id"] for tag in ("input", "select") for each in page.all(tag) if each.get("type") != "hidden"
    }


async def test_its_values_become_variables_of_their_types(visited):
    run = run_of(visited, await visited.submit("/pipeline?name=release_it", **GOOD))
    assert run.variables == {"version": "1.2", "copies": 3, "dry": False, "target": "live"}
    assert run.user == "alice"
    more = {"v.dry": "true", "v.level": "2.5", "v.note": "é", "v.unknown": "x"}
    run = run_of(visited, await visited.submit("/pipeline?name=release_it", **GOOD, **more))
    expected = {"version": "1.2", "copies": 3, "dry": True, "target": "live", "level": 2.5, "note": "é"}
    assert run.variables == expected


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"v.version": " "}, "A value is needed."),
        ({"v.copies": "many"}, "This is no number"),
        ({"v.copies": "true"}, "This is no number"),
        ({"v.copies": "1e999"}, "This is no number"),
        ({"v.copies": "9" * 5000}, "This is no number"),
        ({"v.target": "moon"}, "It has to be one of the list."),
        ({"v.level": "2"}, "It has to be one of the list."),
    ],
)
async def test_what_is_wrong_stands_at_its_field_and_the_rest_is_kept(visited, changes, wrong):
    answer = await visited.submit("/pipeline?name=release_it", **GOOD | changes)
    assert answer.status_code == 400
    page = Seen(answer.text)
    [field] = [each for tag in ("input", "select") for each in page.all(tag) if "aria-invalid" in each]
    assert field["name"] == next(iter(changes))
    [says] = [each for each in page.all("p") if each.get("id") == field["aria-describedby"]]
    assert wrong in page.text
    assert says["class"] == "says"
    if field["name"] != "v.version":
        assert next(each for each in page.all("input") if each["name"] == "v.version")["value"] == "1.2"
    assert len(visited.world.engine.book) == 0


async def test_without_parameters_variables_are_an_object_of_json(visited):
    run = run_of(
        visited, await visited.submit("/pipeline?name=free", variables='{"a": [1, null], "b": "\\ud800"}')
    )
    assert run.variables == {"a": [1, None], "b": "\ufffd"}
    assert run_of(visited, await visited.submit("/pipeline?name=free", variables=" ")).variables == {}


@pytest.mark.parametrize("text", ["[1]", '{"a": ', "7", '"</textarea><script>"', '{"a": NaN}', "[" * 5000])
async def test_other_variables_are_refused_at_the_field_and_kept(visited, text):
    answer = await visited.submit("/pipeline?name=free", variables=text)
    page = Seen(answer.text)
    assert answer.status_code == 400
    assert "This is no object of JSON" in page.text
    assert "aria-invalid" in page.all("textarea")[0]
    assert len(page.all("script")) == 1
    assert text in page.text


async def test_too_many_variables_are_refused_as_the_api_does(visited):
    many = json.dumps(dict.fromkeys(map(str, range(1001))))
    answer = await visited.submit("/pipeline?name=free", variables=many)
    assert (answer.status_code, "more than 1000 variables" in answer.text) == (400, True)
    assert (await visited.submit("/pipeline?name=free", variables="x" * 300_000)).status_code == 413


async def test_a_full_wait_list_and_the_reserved_name_are_said(visited):
    run_of(visited, await visited.submit("/pipeline?name=full"))
    answer = await visited.submit("/pipeline?name=full", variables='{"a": 1}')
    assert answer.status_code == 409
    assert "queueing disabled for pipeline" in answer.text
    assert "{&#34;a&#34;: 1}" in answer.text
    answer = await visited.submit("/pipeline?name=free", variables='{"__jobID": 1}')
    assert "is reserved" in answer.text
    visited.world.engine.accepting = False
    assert (await visited.submit("/pipeline?name=free")).status_code == 503
    assert (await visited.submit("/pipeline?name=unknown")).status_code == 404


def test_a_partition_is_asked_for_where_the_wait_list_has_some():
    parted = definition(
        queue_strategy=QueueStrategy.PARTITIONED_REPLACE, queue_partition_limit=1, params=PARAMS
    )
    assert [field.key for field in empty_form(parted)][-1] == "partition"
    _, asked = filled_form(parted, {**GOOD, "partition": "tenant1"})
    assert (asked.partition, asked.variables["version"]) == ("tenant1", "1.2")
    named_so = definition(params=(Parameter(name="partition"), Parameter(name="variables")))
    _, asked = filled_form(named_so, {"v.partition": "a", "v.variables": "b"})
    assert (asked.partition, asked.variables) == ("", {"partition": "a", "variables": "b"})


async def test_a_run_is_canceled_once_and_not_when_it_has_ended(visited):
    run = run_of(visited, await visited.submit("/pipeline?name=free"))
    path = f"/run?id={run.run_id}"
    for _ in range(2):
        assert run_of(visited, await visited.submit(path)).canceled
    page = await visited.read(path)
    assert "free : canceling" in page.text
    assert "Cancel this run" not in page.text
    ended = run_of(visited, await visited.submit("/pipeline?name=free"))
    visited.world.complete(ended.run_id)
    assert (await visited.submit(f"/run?id={ended.run_id}")).status_code == 409
    assert (await visited.submit("/run?id=52a5cb79-7556-4c52-8e6f-dd6aaf1bc4c8")).status_code == 404


# --- logging in and out ----------------------------------------------------------------------------------


async def test_who_has_no_token_is_led_to_the_log_in_and_back(visited):
    visited.browser.cookies.clear()
    answer = await visited.browser.get("/runs?pipeline=free&offset=0")
    assert answer.status_code == 303
    page = await visited.read(f"/{answer.headers['location']}")
    [target] = [each["value"] for each in page.all("input") if each["name"] == "next"]
    entered = await visited.post("/login", token=f" {token('bob')}\n", next=target)
    assert (entered.status_code, entered.headers["location"]) == (303, "runs?pipeline=free&offset=0")
    cookie = entered.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Path=/" in cookie
    assert "Secure" not in cookie
    run = run_of(visited, await visited.submit("/pipeline?name=free", user="bob"))
    assert run.user == "bob"
    left = await visited.post("/logout")
    assert left.headers["location"] == "login"
    assert not visited.browser.cookies
    assert (await visited.browser.get("/")).headers["location"] == "login?next="


async def test_by_https_the_cookie_goes_no_other_way(visited):
    answer = await visited.browser.post(
        "/login", data={"token": token()}, headers={"X-Forwarded-Proto": "https"}
    )
    assert "Secure" in answer.headers["set-cookie"]


@pytest.mark.parametrize(
    "given",
    ["", "nonsense", token(exp=1), "a.b.c", SECRET.reveal(), token() + "x"],
    ids=["empty", "word", "expired", "dots", "secret", "forged"],
)
async def test_another_token_opens_nothing(visited, given):
    visited.browser.cookies.clear()
    answer = await visited.post("/login", token=given)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    assert 'role="alert"' in answer.text
    assert not given or given not in answer.text


async def test_a_token_in_an_address_opens_nothing(visited):
    visited.browser.cookies.clear()
    assert (await visited.browser.get(f"/?jwt={token()}")).status_code == 303
    assert "set-cookie" not in (await visited.browser.get(f"/login?token={token()}")).headers


async def test_a_token_that_expires_leads_to_the_log_in_and_is_401_for_the_api(tmp_path):
    clock = [now()]
    async with visiting(served(tmp_path, clock=lambda: clock[0])) as visited:
        visited.browser.cookies.set("jwt", token(exp=int(clock[0].timestamp()) + 60))
        await visited.read("/")
        clock[0] += timedelta(minutes=2)
        assert (await visited.browser.get("/")).headers["location"].startswith("login")
        assert (await visited.submit("/pipeline?name=release_it")).headers["location"].startswith("login")
        assert (await visited.browser.get("/pipelines/jobs")).status_code == 401


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil", "javascript:x", "é"])
async def test_after_the_log_in_nobody_is_led_elsewhere(visited, target):
    assert (await visited.post("/login", token=token(), next=target)).headers["location"] == "./"


# --- forms of others ---------------------------------------------------------------------------------------

OURS, NOT_OURS = 303, 403


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, NOT_OURS),
        ({"Sec-Fetch-Site": "same-origin"}, OURS),
        ({"Sec-Fetch-Site": "same-site"}, NOT_OURS),
        ({"Sec-Fetch-Site": "cross-site"}, NOT_OURS),
        ({"Sec-Fetch-Site": "none"}, NOT_OURS),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "HERE"}, NOT_OURS),
        ({"Origin": "HERE"}, OURS),
        ({"Origin": "null"}, NOT_OURS),
        ({"Origin": "https://evil.example"}, NOT_OURS),
        ({"Origin": "http://127.0.0.1:1"}, NOT_OURS),
        ({"Origin": "https://ci.example", "X-Forwarded-Host": "ci.example"}, OURS),
    ],
)
async def test_forms_of_other_pages_are_refused(visited, headers, status):
    here = f"http://127.0.0.1:{visited.world.port}"
    given = {name: here if value == "HERE" else value for name, value in headers.items()}
    async with httpx.AsyncClient(base_url=here, headers=given, cookies={"jwt": token()}) as browser:
        ours = {"csrf": form_token(SECRET, "alice")}
        assert (await browser.post("/pipeline?name=free", data=ours)).status_code == status
        assert (await browser.post("/login", data={"token": token()})).status_code == status
        assert (await browser.post("/logout")).status_code == status
    assert len(visited.world.engine.book) == (status == OURS)


@pytest.mark.parametrize("given", [{}, {"csrf": ""}, {"csrf": "é"}, {"csrf": form_token(SECRET, "bob")}])
async def test_a_form_that_no_page_has_shown_to_this_person_starts_and_cancels_nothing(visited, given):
    run = run_of(visited, await visited.submit("/pipeline?name=free"))
    for path in ("/pipeline?name=free", f"/run?id={run.run_id}"):
        answer = await visited.post(path, **given)
        assert (answer.status_code, "none of yours" in answer.text) == (403, True)
        [form] = [each for each in (await visited.read(path)).all("form") if each["action"] == path[1:]]
        assert form["method"] == "post"
        [token] = [each for each in (await visited.read(path)).all("input") if each.get("name") == "csrf"]
        assert token["value"] == form_token(SECRET, "alice")
    assert [each.canceled for each in visited.world.engine.book.runs()] == [False]


class FullDisk(MemoryJournal):
    async def flushed(self):
        raise StoreError("no space left on device")


async def test_a_store_that_cannot_be_written_is_said_on_a_page(tmp_path):
    async with visiting(attrs.evolve(served(tmp_path), journal=FullDisk())) as visited:
        answer = await visited.submit("/pipeline?name=release_it")
        assert (answer.status_code, "no space left on device" in answer.text) == (503, True)
        assert "no space left" in (await visited.read("/", 503)).text
