"""Who gets in: with the token, with the session that it brought, and nobody else."""

from contextlib import asynccontextmanager

import httpx
import pytest

from paas_runner.secret import Secret
from paas_runner.web.access import COOKIE, LONGEST_SESSION, MOST_SESSIONS, PATIENCE, WRONG_TRIES, Sessions

TOKEN = "page-token-0123456789"
PATHS = [
    "/",
    "/jobs",
    "/jobs/1",
    "/hosts",
    "/costs",
    "/nothing",
    "/find",
    "/api/v1/status",
    "/api/v1/openapi.json",
]


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def app(world, clock):
    return world.app(token=Secret(TOKEN), now=clock)


@asynccontextmanager
async def visitor(app, address="192.0.2.1"):
    transport = httpx.ASGITransport(app, client=(address, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://runner.example") as client:
        yield client


@pytest.fixture
async def client(app):
    async with visitor(app) as client:
        yield client


async def log_in(client, token=TOKEN, **more):
    return await client.post("/login", data={"token": token, **more})


async def test_nobody_sees_anything_without_the_token(client):
    for path in PATHS:
        answer = await client.get(path)
        if path.startswith("/api"):
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"].startswith("Bearer")
        else:
            assert answer.status_code == 303
            assert answer.headers["location"].startswith("/login?next=")
        assert "4712" not in answer.text


@pytest.mark.parametrize("path", ["/", "/api/v1/status"])
@pytest.mark.parametrize(
    "header",
    [
        "Bearer wrong",
        "Bearer",
        "Bearer ",
        f"Basic {TOKEN}",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        "Bearer é",
    ],
)
async def test_a_wrong_token_opens_nothing(client, path, header):
    answer = await client.get(path, headers={"Authorization": header.encode()})
    assert answer.status_code == 401
    assert TOKEN not in answer.text


async def test_a_program_gets_in_with_its_token(client):
    for scheme in ("Bearer", "bearer"):
        answer = await client.get("/api/v1/status", headers={"Authorization": f"{scheme} {TOKEN}"})
        assert answer.status_code == 200


async def test_a_person_logs_in_goes_where_she_wanted_and_logs_out(client):
    assert (await client.get("/jobs/4712")).headers["location"] == "/login?next=/jobs/4712"
    answer = await log_in(client, next="/jobs/4712")
    assert (answer.status_code, answer.headers["location"]) == (303, "/jobs/4712")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert TOKEN not in cookie
    assert "Log out" in (await client.get("/jobs/4712")).text
    kept = client.cookies[COOKIE]
    assert (await client.post("/logout")).headers["location"] == "/login"
    assert COOKIE not in client.cookies
    client.cookies.set(COOKIE, kept)
    assert (await client.get("/")).status_code == 303  # it is over, not only forgotten by the browser


async def test_a_page_of_somebody_else_logs_nobody_out(client):
    await log_in(client)
    client.cookies.clear()  # a browser sends none along from elsewhere: SameSite=strict
    answer = await client.post("/logout", headers={"Origin": "https://elsewhere.example"})
    assert "set-cookie" not in answer.headers


async def test_behind_tls_the_cookie_is_sent_over_nothing_else(client):
    answer = await client.post("/login", data={"token": TOKEN}, headers={"X-Forwarded-Proto": "https"})
    assert "Secure" in answer.headers["set-cookie"]


async def test_a_session_ends_by_itself(client, clock):
    await log_in(client)
    clock.now += LONGEST_SESSION.total_seconds() - 1
    assert (await client.get("/")).status_code == 200
    clock.now += 2
    assert (await client.get("/")).status_code == 303


def test_sessions_are_bounded_and_what_is_kept_is_no_session():
    sessions = Sessions(lambda: 0.0)
    values = [sessions.begin() for _ in range(MOST_SESSIONS + 1)]
    assert values[0] not in sessions
    assert values[-1] in sessions
    assert "" not in sessions
    assert values[-1] not in str(vars(sessions))


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example", "/\\evil.example", "", "/\r\nx", "/" * 9000]
)
async def test_a_login_leads_to_no_other_place(client, target):
    answer = await log_in(client, next=target)
    assert answer.status_code == 413 if len(target) > 4096 else answer.headers["location"] == "/"


async def test_whoever_tries_tokens_is_not_looked_at_for_a_while(app, client, clock):
    for _ in range(WRONG_TRIES):
        assert (await log_in(client, "wrong")).status_code == 403
    assert (await log_in(client)).status_code == 429
    assert (await log_in(client)).headers.get("set-cookie") is None
    assert (
        await client.get("/api/v1/status", headers={"Authorization": f"Bearer {TOKEN}"})
    ).status_code == 429
    async with visitor(app, "192.0.2.2") as other:
        assert (await log_in(other)).status_code == 303
        assert (await other.get("/")).status_code == 200
    clock.now += PATIENCE.total_seconds() + 1
    assert (await log_in(client)).status_code == 303


async def test_wrong_tokens_of_programs_count_too(client):
    for _ in range(WRONG_TRIES):
        await client.get("/api/v1/status", headers={"Authorization": "Bearer wrong"})
    answer = await client.get("/api/v1/status", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1


async def test_a_session_is_good_while_somebody_else_tries(client):
    await log_in(client)
    for _ in range(WRONG_TRIES + 1):
        await log_in(client, "wrong")
    assert (await client.get("/")).status_code == 200


@pytest.mark.parametrize(
    "body", [b"", b"token=", b"token=%ff%00", b"x" * 5000, b"&".join([b"a=b"] * 20), b"\xff\xfe", b"next=/"]
)
async def test_a_form_of_nonsense_logs_nobody_in(client, body):
    answer = await client.post("/login", content=body)
    assert answer.status_code in (400, 403, 413)
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "cookie", ["x", f"{COOKIE}=", f'{COOKIE}="a', f"{COOKIE}=a; {COOKIE}=b", "\xff=\x00", ";" * 3000]
)
async def test_a_cookie_of_nonsense_is_none(client, cookie):
    assert (await client.get("/", headers={"Cookie": cookie.encode("latin-1")})).status_code == 303


async def test_without_a_token_there_is_nothing_to_log_into(look):
    assert (await look("/login")).status_code == 404
    assert "Log out" not in (await look("/")).text
