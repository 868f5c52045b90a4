"""What somebody may try at log-in, tokens, streams, statements and the audit, and what becomes of it."""

import asyncio
from datetime import timedelta

import attrs
import pytest
from paas_pipelines.access.identity import Identity, identity_of, wrong_with
from paas_pipelines.access.policy import Access
from paas_pipelines.access.statements import Statement, authorize, matching
from paas_pipelines.api.access import COOKIE, DeniedError, Gate, signed_token
from paas_pipelines.cli.administering import _audit_line
from paas_pipelines.login.attempts import MOST_NOTED_A_MINUTE
from paas_pipelines.login.sessions import HOST_COOKIE, MOST_OF_ONE, Sessions
from paas_pipelines.server.access_settings import read_statements

from paas_runner.config.complaints import Findings
from tests.paas_pipelines.test_login_by_browser import World, oidc
from tests.support.login_providers import OpenId
from tests.support.memory_journal import MemoryJournal
from tests.support.served_pipelines import SECRET, authorization, definition, now, served, serving

STRANGERS = 1_500
OWN = {"Sec-Fetch-Site": "same-origin"}


# --- names -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "domain", "is_taken"),
    [
        ("ada", "", True),
        ("ümit o'neill, dev", "", True),
        ("team/ada", "", True),
        ("", "", True),
        ("x" * 255, "", True),
        ("x" * 256, "", False),
        ("server", "", False),
        ("server", "corp", True),
        ("pipeline/deploy", "", False),
        ("trigger/ci/push", "", False),
        ("pipeline", "", False),
        ("pipelines/x", "", True),
        ("ada\n  7 2026-01-01 bob approve", "", False),
        ("a\u200bda", "corp", False),
        ("a\u202eda", "corp", False),
        ("ada ", "corp", False),
        ("ada\x00", "", False),
        ("zoe\u0301", "corp", False),
        ("zo\u00e9", "corp", True),
    ],
)
def test_nobody_is_called_what_looks_like_somebody_else(name, domain, is_taken):
    assert (wrong_with(Identity(name, domain=domain)) == "") is is_taken
    if not domain:
        token = signed_token(SECRET, {"sub": name})
        try:
            assert Gate(SECRET, now).user_of(token) == name
        except DeniedError:
            assert not is_taken


@pytest.mark.parametrize("name", ["bob\u200b", "bo\nb", "b" * 300, "bo\u0308b"])
async def test_a_provider_cannot_bring_in_such_a_name_either(tmp_path, name):
    world = World(tmp_path, OpenId(preferred_username=name), oidc())
    async with world.browser() as browser:
        assert (await world.logged_in(browser)).status_code == 403
        assert HOST_COOKIE not in browser.cookies


@pytest.mark.parametrize(("verified", "status"), [(True, 303), (False, 403), ("true", 403)])
async def test_an_address_is_nobodys_name_before_the_provider_has_verified_it(tmp_path, verified, status):
    provider = OpenId(email="root@corp.example", email_verified=verified)
    world = World(tmp_path, provider, oidc(name_claim="email"))
    async with world.browser() as browser:
        assert (await world.logged_in(browser)).status_code == status


def test_groups_and_statements_compare_letters_however_they_are_composed():
    findings = Findings()
    raw = [{"identity": ["group:cafe\u0301"], "method": "start", "resource": "*", "effect": "Deny"}]
    raw.append({"identity": "*", "role": "start", "resource": "*"})
    statements = read_statements(raw, ("access",), findings)
    assert not findings.faults
    for written in ("caf\u00e9", "cafe\u0301"):
        who = identity_of({"sub": "eve", "groups": [written, 7, None, "\ud800"]}, "")
        assert not authorize(statements, who, "start", ["pipeline=a"]).allowed
    assert identity_of({"sub": "x", "groups": ["a", "a", "\ud800"]}, "").groups == ("a", "?")


@pytest.mark.parametrize(
    ("pattern", "text", "is_so"),
    [
        ("dev", "dev\n", False),
        ("dev*", "dev\nops", True),
        ("[a-z]", "b", False),
        ("[a-z]", "[a-z]", True),
        ("[!a]", "[!a]", True),
        ("a.c", "abc", False),
        ("?", "", False),
        ("*", "", True),
        ("**", "a/b", True),
        ("(?i)DEV", "dev", False),
        ("dev", "DEV", False),
    ],
)
def test_a_pattern_has_two_signs_and_is_for_the_whole(pattern, text, is_so):
    assert matching(pattern, text) is is_so


def test_a_pattern_with_many_stars_takes_no_time():
    assert not matching("a*" * 40 + "b", "a" * 20_000)


# --- tokens and streams ------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", ["=\r\nSet-Cookie: a=b", "= ", "=;x", "\r\n", "===", "=\x00", "=é"])
def test_a_token_has_nothing_beside_its_letters(more):
    token = signed_token(SECRET, {"sub": "ada"})
    gate = Gate(SECRET, now)
    assert gate.user_of(token) == "ada"
    if more.strip("="):
        with pytest.raises(DeniedError):
            gate.user_of(token + more)


async def read_until_the_end(world, path, claims):
    """The lines that came."""
    seen = []
    async with asyncio.timeout(60), world.client.stream("GET", path, headers=authorization(claims)) as answer:
        async for line in answer.aiter_lines():
            seen.append(line)
            if line.startswith("event: snapshot") or "out from" in line:
                world.served.clock.then()
    return seen


class Clock:
    """The time, and what happens when something has come."""

    def __init__(self):
        self.later = timedelta()
        self.then = lambda: None

    def __call__(self):
        return now() + self.later


@pytest.mark.parametrize(
    ("follows", "end"), [("runs", "token"), ("log", "token"), ("log", "statements"), ("log", "nothing")]
)
async def test_a_stream_ends_with_the_token_and_with_the_right_to_read(tmp_path, end, follows):
    clock = Clock()
    allowed = Statement(identity=("ada",), role="start", resource=("*",))
    parts = served(tmp_path, definition(), clock=clock, access=Access((allowed,)))
    async with serving(parts) as world:
        run = world.engine.schedule("release_it", variables={})
        parts.logs.output(run.run_id, "test").stdout(b"out from test\n")

        def changes():
            if end == "token":
                clock.later = timedelta(minutes=5)
            elif end == "statements":
                parts.access.replace((attrs.evolve(allowed, identity=("bob",)),))
            parts.logs.output(run.run_id, "test").stdout(b"a secret of later\n")
            world.engine.schedule("release_it", variables={"secret": "of later"})
            if end == "nothing":
                world.engine.cancel(run.run_id)
                world.end(run.run_id, "test")

        clock.then = changes
        path = "/runs/stream" if follows == "runs" else f"/job/logs?id={run.run_id}&task=test&follow=1"
        claims = {"sub": "ada", "exp": int(now().timestamp()) + 60}
        text = "\n".join(await read_until_the_end(world, path, claims))
        assert ("of later" in text) is (end == "nothing")
        assert ("event: end" in text) is (end == "nothing")


# --- log-ins -----------------------------------------------------------------------------------------------


async def test_strangers_who_begin_to_log_in_push_nobody_out(tmp_path):
    world = World(tmp_path, OpenId(), oidc())
    async with world.browser() as browser, world.browser() as stranger:
        back = world.provider.approved(await world.begun(browser))
        for _ in range(STRANGERS):
            await world.begun(stranger)
        assert (await browser.get("/login/callback", params=back)).status_code == 303
        assert HOST_COOKIE in browser.cookies


async def test_nobody_spends_the_attempt_of_another_and_no_cookie_is_made_up(tmp_path):
    world = World(tmp_path, OpenId(), oidc())
    async with world.browser() as browser, world.browser() as eve:
        back = world.provider.approved(await world.begun(browser))
        await world.begun(eve)
        assert (await eve.get("/login/callback", params=back)).status_code == 403
        name, sealed = next(iter(browser.cookies.items()))
        other = World(tmp_path, world.provider, oidc())  # another process: another key
        async with other.browser() as elsewhere:
            elsewhere.cookies.set(name, sealed, domain="ci.example", path="/")
            assert (await elsewhere.get("/login/callback", params=back)).status_code == 403
        for made_up in ("", "x", "a.b.c", sealed[:-2], f"{sealed}x"):
            eve.cookies.set(name, made_up, domain="ci.example", path="/")
            assert (await eve.get("/login/callback", params=back)).status_code == 403
        assert (await browser.get("/login/callback", params=back)).status_code == 303


async def test_failures_that_strangers_cause_do_not_fill_the_audit(tmp_path):
    world = World(tmp_path, OpenId(nonce="another"), oidc())
    async with world.browser() as stranger:
        for _ in range(MOST_NOTED_A_MINUTE + 5):
            assert (await world.logged_in(stranger)).status_code == 403
        assert len(await world.served.audit.newest(100)) == MOST_NOTED_A_MINUTE
        world.clock.now += timedelta(minutes=1)
        await world.logged_in(stranger)
        assert len(await world.served.audit.newest(100)) == MOST_NOTED_A_MINUTE + 1


async def test_who_logs_in_again_and_again_ends_his_own_sessions(tmp_path):
    sessions = Sessions(MemoryJournal(), now, timedelta(hours=8))
    others = sessions.begin(Identity("bob", domain="corp"))
    mine = [sessions.begin(Identity("eve", domain="corp")) for _ in range(3 * MOST_OF_ONE)]
    assert [sessions.identity(each) is not None for each in mine] == (
        [False] * 2 * MOST_OF_ONE + [True] * MOST_OF_ONE
    )
    assert sessions.identity(others) == Identity("bob", domain="corp")


async def test_another_provider_does_not_inherit_sessions():
    journal = MemoryJournal()
    value = Sessions(journal, now, timedelta(hours=8)).begin(Identity("bob", domain="old"))
    again = await Sessions.open(journal, now, timedelta(hours=8), "corp")
    assert again.identity(value) is None
    assert (await Sessions.open(journal, now, timedelta(hours=8), "old")).identity(value) is None


async def test_nobody_is_two_a_log_in_ends_a_pasted_token_and_the_other_way_round(tmp_path):
    world = World(tmp_path, OpenId(), oidc())
    token = signed_token(SECRET, {"sub": "root", "groups": ["dev"]})
    async with world.browser() as browser:
        await browser.post("/login", data={"token": token}, headers=OWN)
        assert COOKIE in browser.cookies
        await world.logged_in(browser)
        assert COOKIE not in browser.cookies
        session = browser.cookies[HOST_COOKIE]
        await browser.post("/login", data={"token": token}, headers=OWN)
        assert (COOKIE in browser.cookies, HOST_COOKIE in browser.cookies) == (True, False)
        assert world.served.login.sessions.identity(session) is None


async def test_what_a_provider_says_is_never_taken_for_a_page(tmp_path):
    world = World(tmp_path, OpenId(), oidc())
    async with world.browser() as browser:
        state = world.provider.approved(await world.begun(browser))["state"]
        wrong = {"state": state, "error": "<script>alert(1)</script>\r\nX: y"}
        answer = await browser.get("/login/callback", params=wrong)
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "x" not in {name.lower() for name in answer.headers}


# --- the audit ---------------------------------------------------------------------------------------------


def test_nobody_writes_a_line_of_the_audit_into_another():
    line = {"number": 7, "at": "2026-03-01T00:00:00", "what": "approve", "resource": "task=p/ok"}
    forged = "ok\n     8 2026-03-01T00:00:01Z root approve task=p/prod done"
    shown = _audit_line({**line, "who": "eve", "outcome": "done", "details": {"reason": forged}})
    assert "\n" not in shown
    assert shown.startswith("     7 2026-03-01T00:00:00Z eve approve")
    shown = _audit_line({**line, "who": "root approve task=p/prod done", "outcome": "done", "details": {}})
    assert '"root approve task=p/prod done" approve task=p/ok done' in shown
