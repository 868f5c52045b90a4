"""People log in by the browser: whom a provider vouches for, and nobody by any trick (§9)."""

import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from joserfc.jwk import RSAKey
from paas_pipelines.access.policy import Access
from paas_pipelines.access.statements import Statement
from paas_pipelines.api.routes import create_app
from paas_pipelines.login.attempts import Attempts
from paas_pipelines.login.github import GithubProvider
from paas_pipelines.login.oidc import OidcProvider
from paas_pipelines.login.provider import Calls
from paas_pipelines.login.routes import Login
from paas_pipelines.login.sessions import HOST_COOKIE, PLAIN_COOKIE, Sessions
from paas_pipelines.login.settings import LoginSettings
from paas_pipelines.pages.site import PipelinePages

from paas_runner.secret import Secret
from tests.support.login_providers import ISSUER, Github, OpenId
from tests.support.served_pipelines import authorization, definition, served

HERE = "https://ci.example"
DEV = Statement(identity=("group:dev",), role="start", resource=("pipeline=release_it",))


class Clock:
    now = datetime(2026, 3, 1, tzinfo=UTC)

    def __call__(self):
        return self.now


class World:
    """A server with a log-in, and browsers."""

    def __init__(self, folder, provider, settings, here=HERE):
        self.clock, self.provider, self.here = Clock(), provider, here
        parts = served(folder, definition(), clock=self.clock, access=Access((DEV,)))
        calls = Calls(provider.transport)
        kind = OidcProvider(settings, calls) if settings.type == "oidc" else GithubProvider(settings, calls)
        login = Login(
            provider=kind,
            sessions=Sessions(parts.journal, self.clock, timedelta(hours=8)),
            attempts=Attempts(self.clock),
            audit=parts.audit,
            journal=parts.journal,
            name="corp",
            external_url=here if here == HERE else "",
        )
        import attrs

        self.served = attrs.evolve(parts, login=login)
        self.app = create_app(self.served, own_routes=PipelinePages(self.served).routes())

    def browser(self):
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url=self.here)

    async def begun(self, browser, page="runs"):
        answer = await browser.get("/login/start", params={"next": page})
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]

    async def logged_in(self, browser, page="runs"):
        back = self.provider.approved(await self.begun(browser, page))
        return await browser.get("/login/callback", params=back)


def oidc(**changes):
    return LoginSettings(
        type="oidc",
        domain="corp",
        issuer=ISSUER,
        client_id="client",
        client_secret=Secret("canary-client-secret"),
        **changes,
    )


GITHUB = LoginSettings(
    type="github",
    domain="gh",
    client_id="client",
    client_secret=Secret("canary-client-secret"),
    github_url="https://github.example",
    github_api_url="https://api.github.example",
)


@pytest.fixture
def world(tmp_path):
    return World(tmp_path, OpenId(), oidc())


async def test_who_comes_back_from_the_provider_is_somebody(world):
    async with world.browser() as browser:
        assert (await browser.get("/pipelines")).status_code == 401
        answer = await world.logged_in(browser)
        assert (answer.status_code, answer.headers["location"]) == (303, "../runs")
        [cookie] = [
            each for each in answer.headers.get_list("set-cookie") if each.startswith(f"{HOST_COOKIE}=")
        ]
        assert {part.strip().lower() for part in cookie.split(";")[1:]} >= {
            *("httponly", "secure", "path=/", "samesite=lax", "max-age=28800")
        }
        assert (await browser.get("/runs")).status_code == 200
        assert len((await browser.get("/pipelines")).json()["pipelines"]) == 1
        asked = await browser.post(
            "/pipelines/schedule", json={"pipeline": "release_it"}, headers={"Sec-Fetch-Site": "same-origin"}
        )
        run = world.served.engine.book.run(asked.json()["jobId"])
        assert run.user == "corp/bob"
        lines = await world.served.audit.newest(5)
        assert ("corp/bob", "login") in {(line.who, line.what) for line in lines}


async def test_no_token_is_taken_for_somebody_who_has_logged_in(world):
    async with world.browser() as browser:
        for name, status in (("corp/bob", 401), ("corporal/bob", 200), ("bob", 200)):
            headers = authorization({"sub": name, "groups": ["dev"]})
            assert (await browser.get("/pipelines", headers=headers)).status_code == status, name


async def test_a_change_comes_from_a_page_of_this_server_alone(world):
    async with world.browser() as browser:
        await world.logged_in(browser)
        for headers in ({}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
            answer = await browser.post(
                "/pipelines/schedule", json={"pipeline": "release_it"}, headers=headers
            )
            assert answer.status_code == 401


async def test_a_logout_ends_the_session_for_good_and_so_do_eight_hours(world):
    async with world.browser() as browser:
        await world.logged_in(browser)
        kept = browser.cookies[HOST_COOKIE]
        assert not any(kept in text for text in world.served.journal.texts.values())
        await browser.post("/logout", headers={"Sec-Fetch-Site": "same-origin"})
        browser.cookies.set(HOST_COOKIE, kept, domain="ci.example", path="/")
        assert (await browser.get("/pipelines")).status_code == 401
        await world.logged_in(browser)
        again = await Sessions.open(world.served.journal, world.clock, timedelta(hours=8))
        assert str(again.identity(browser.cookies[HOST_COOKIE])) == "corp/bob"
        world.clock.now += timedelta(hours=8)
        assert (await browser.get("/pipelines")).status_code == 401


async def test_a_state_is_good_once_and_in_its_own_browser(world):
    async with world.browser() as victim, world.browser() as attacker:
        back = world.provider.approved(await world.begun(attacker))
        assert (await victim.get("/login/callback", params=back)).status_code == 403
        await world.begun(victim)
        assert (await victim.get("/login/callback", params=back)).status_code == 403
        back = world.provider.approved(await world.begun(victim))
        assert (await victim.get("/login/callback", params=back)).status_code == 303
        again = world.provider.approved(
            f"https://x/?state={back['state']}&nonce=n&code_challenge=c&redirect_uri=r"
        )
        assert (await victim.get("/login/callback", params=again)).status_code == 403
        back = world.provider.approved(await world.begun(victim))
        world.clock.now += timedelta(minutes=11)
        assert (await victim.get("/login/callback", params=back)).status_code == 403
        assert (await victim.get("/login/callback")).status_code == 403


async def test_a_session_that_was_planted_is_not_the_one_that_counts(world):
    async with world.browser() as browser, world.browser() as attacker:
        await world.logged_in(attacker)
        planted = attacker.cookies[HOST_COOKIE]
        browser.cookies.set(HOST_COOKIE, planted, domain="ci.example", path="/")
        await world.logged_in(browser)
        assert browser.cookies[HOST_COOKIE] != planted
        assert (await attacker.get("/pipelines")).status_code == 401


OTHER_KEY = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"}, auto_kid=False)


@pytest.mark.parametrize(
    ("claims", "told"),
    [
        ({"nonce": "another"}, "nonce"),
        ({"aud": "another"}, "aud"),
        ({"aud": ["client", "another"]}, "azp"),
        ({"azp": "another"}, "azp"),
        ({"iss": "https://evil.example"}, "iss"),
        ({"exp": int(time.time()) - 3600}, "exp|Expired"),
        ({"preferred_username": ""}, "preferred_username"),
        ({"info_sub": "2"}, "another person"),
    ],
)
async def test_a_token_that_is_not_for_this_attempt_logs_nobody_in(tmp_path, claims, told):
    world = World(tmp_path, OpenId(**claims), oidc())
    async with world.browser() as browser:
        answer = await world.logged_in(browser)
        assert answer.status_code == 403
        assert any(word in answer.text for word in told.split("|")), answer.text
        assert HOST_COOKIE not in browser.cookies
        [line] = await world.served.audit.newest(1)
        assert (line.what, line.outcome) == ("login", "refused")


async def test_a_token_with_another_key_logs_nobody_in(world):
    world.provider.key = OTHER_KEY
    async with world.browser() as browser:
        answer = await world.logged_in(browser)
        assert (answer.status_code, HOST_COOKIE in browser.cookies) == (403, False)


@pytest.mark.parametrize(
    "page", ["//evil.example", "https://evil.example", "/x", "runs\r\nX: y", "../x", "javascript:1"]
)
async def test_the_way_back_leads_to_a_page_of_this_server(world, page):
    async with world.browser() as browser:
        answer = await world.logged_in(browser, page)
        assert answer.headers["location"] == "../"


async def test_without_https_it_is_loopback_and_another_cookie(tmp_path):
    world = World(tmp_path, OpenId(), oidc(), here="http://127.0.0.1:9009")
    async with world.browser() as browser:
        await world.logged_in(browser)
        assert PLAIN_COOKIE in browser.cookies
        assert (await browser.get("/pipelines")).status_code == 200
    world.here = "http://evil.example"
    async with world.browser() as browser:
        answer = await browser.get("/login/start")
        assert (answer.status_code, "external_url" in answer.text) == (403, True)


async def test_teams_of_github_are_groups_over_all_pages(tmp_path):
    provider = Github([("acme", f"team-{number}") for number in range(150)])
    world = World(tmp_path, provider, GITHUB)
    async with world.browser() as browser:
        assert (await world.logged_in(browser)).status_code == 303
        found = world.served.login.sessions.identity(browser.cookies[HOST_COOKIE])
        assert str(found) == "gh/octocat"
        assert found.groups == tuple(f"acme/team-{number}" for number in range(150))
        back = provider.approved(await world.begun(browser))
        provider.codes.clear()
        refused = await browser.get("/login/callback", params=back)
        assert (refused.status_code, "bad_verification_code" in refused.text) == (403, True)
        texts = [refused.text, *world.served.journal.texts.values()]
        assert not any("canary" in text for text in texts)


async def test_a_provider_that_is_not_there_is_told(tmp_path):
    class Nobody:
        transport = httpx.MockTransport(
            lambda _: httpx.Response(302, headers={"location": "https://evil.example"})
        )

    world = World(tmp_path, Nobody(), oidc())
    async with world.browser() as browser:
        answer = await browser.get("/login/start")
        assert (answer.status_code, "answers 302" in answer.text) == (403, True)
