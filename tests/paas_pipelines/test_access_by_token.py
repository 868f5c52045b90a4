"""Who may use the API (spec §5; P120, P131, P132, P133)."""

import base64
import json
import re
from datetime import UTC, datetime

import httpx
import jwt
import pytest
from paas_pipelines.api.access import DeniedError, Gate, signed_token
from paas_pipelines.api.routes import create_app
from starlette.requests import HTTPConnection
from starlette.routing import Route

from paas_runner.secret import Secret
from tests.support.served_pipelines import SECRET, authorization, now, served, serving

NOW = int(now().timestamp())


def at_that_time():
    return datetime.fromtimestamp(NOW, UTC)


FOREIGN = Secret("THIS-IS-WRONG-AND-LONG")


def connection(headers=None, path="/pipelines/", method="GET"):
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in (headers or {}).items()]
    return HTTPConnection({"type": "http", "method": method, "path": path, "headers": raw})


def judged(token, **headers):
    try:
        return Gate(SECRET, at_that_time).user(connection({"Authorization": f"Bearer {token}", **headers}))
    except DeniedError as denied:
        return str(denied)


def encoded(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize(
    ("claims", "answer"),
    [
        ({}, ""),
        ({"iat": NOW}, ""),
        ({"iat": NOW, "exp": NOW + 60, "nbf": NOW - 60, "sub": "jane.doe"}, "jane.doe"),
        ({"sub": 7}, ""),
        ({"sub": "half a \ud83d"}, "half a ?"),
        ({"sub": None, "jti": 3, "aud": "another", "iss": ["x"]}, ""),
        ({"exp": NOW - 1}, "token is expired"),
        ({"exp": NOW}, "token is expired"),
        ({"nbf": NOW + 600}, "token nbf validation failed"),
        ({"iat": NOW + 600}, "token iat validation failed"),
        ({"iat": NOW + 600, "exp": NOW - 1, "nbf": NOW + 600}, "token iat validation failed"),
        ({"exp": NOW - 1, "nbf": NOW + 600}, "token is expired"),
        ({"exp": NOW + 600.5}, ""),
        ({"exp": "soon"}, "token is unauthorized"),
        ({"exp": True}, "token is unauthorized"),
        ({"exp": None}, ""),
    ],
)
def test_claims_are_looked_at_in_order(claims, answer):
    """P131, P132: exp, nbf and iat where they are present; sub is the user; nothing else counts."""
    assert judged(signed_token(SECRET, claims)) == answer


def test_another_librarys_token_is_taken():
    """P138: PHP and Go sign with the secret's bytes."""
    token = jwt.encode({"sub": "ümit", "exp": NOW + 60}, SECRET.reveal() + "x" * 16, "HS256")
    assert (
        Gate(Secret(SECRET.reveal() + "x" * 16), at_that_time).user(
            connection({"Authorization": f"Bearer {token}"})
        )
        == "ümit"
    )


@pytest.mark.parametrize(
    "token",
    [
        signed_token(FOREIGN, {"iat": NOW}),
        "nonsense",
        "a.b.c",
        "..",
        signed_token(SECRET, {"sub": "a"})[:-2],
        f"{encoded({'alg': 'none'})}.{encoded({'sub': 'root'})}.",
        f"{encoded({'alg': 'HS512'})}.{encoded({'sub': 'root'})}.c2ln",
        f"{encoded(['HS256'])}.{encoded({})}.c2ln",
    ],
)
def test_anything_but_our_signature_is_unauthorized(token):
    assert judged(token) == "token is unauthorized"


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_the_algorithm_is_ours_not_the_tokens(algorithm):
    long = Secret("x" * 64)
    token = jwt.encode({"sub": "a"}, long.reveal(), algorithm)
    with pytest.raises(DeniedError, match="token is unauthorized"):
        Gate(long, at_that_time).user(connection({"Authorization": f"Bearer {token}"}))


def test_a_payload_that_is_no_object_is_unauthorized():
    assert judged(signed_token(SECRET, ["sub"])) == "token is unauthorized"


def test_the_header_goes_before_the_cookie():
    good, bad = signed_token(SECRET, {"sub": "a"}), signed_token(FOREIGN, {})
    gate = Gate(SECRET, at_that_time)
    assert gate.user(connection({"authorization": f"bEARER {good}"})) == "a"
    assert gate.user(connection({"Cookie": f"other=1; jwt={good}"})) == "a"
    assert gate.user(connection({"Authorization": "Basic abc", "Cookie": f"jwt={good}"})) == "a"
    assert judged(bad, Cookie=f"jwt={good}") == "token is unauthorized"
    for nothing in ({}, {"Authorization": "Bearer "}, {"Cookie": "jwt="}, {"Authorization": good}):
        with pytest.raises(DeniedError, match="no token found"):
            gate.user(connection(nothing))


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_cookie_does_not_count_for_a_change_that_another_origin_asks_for(site):
    cookie = {"Cookie": f"jwt={signed_token(SECRET, {})}", "Sec-Fetch-Site": site}
    assert Gate(SECRET, at_that_time).user(connection(cookie)) == ""
    with pytest.raises(DeniedError, match="no token found"):
        Gate(SECRET, at_that_time).user(connection(cookie, method="POST"))


@pytest.mark.parametrize(
    ("origin", "counts"),
    [
        ("http://ci.example:9009", True),
        ("http://ci.example:8080", False),
        ("https://evil.example", False),
        ("null", False),
        ("", False),
    ],
)
def test_without_https_browsers_tell_by_the_origin_alone_who_asks(origin, counts):
    headers = {"Cookie": f"jwt={signed_token(SECRET, {})}", "Host": "ci.example:9009", "Origin": origin}
    if counts:
        assert Gate(SECRET, at_that_time).user(connection(headers, method="POST")) == ""
    else:
        with pytest.raises(DeniedError, match="no token found"):
            Gate(SECRET, at_that_time).user(connection(headers, method="POST"))
    assert Gate(SECRET, at_that_time).user(connection(headers, method="GET")) == ""


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/pipelines", 401),
        ("GET", "/pipelines/", 401),
        ("GET", "/pipelines/jobs", 401),
        ("POST", "/pipelines/schedule", 401),
        ("GET", "/pipelines/unknown", 401),
        ("PUT", "/pipelines/jobs", 401),
        ("GET", "/job", 401),
        ("GET", "/job/", 401),
        ("GET", "/job/detail", 401),
        ("GET", "/job/logs", 401),
        ("POST", "/job/cancel", 401),
        ("GET", "/job/unknown", 401),
        ("GET", "/job%2Fdetail", 401),
        ("GET", "/runs/stream", 401),
        ("GET", "/pipelinesx", 404),
        ("GET", "/jobs", 404),
        ("GET", "/", 404),
        ("GET", "/debug/pprof", 404),
        ("GET", "/health", 200),
    ],
)
async def test_without_a_token_nothing_is_told(tmp_path, method, path, status):
    """P120: also below the two roots where nothing is."""
    async with (
        serving(served(tmp_path)) as world,
        httpx.AsyncClient(base_url=world.client.base_url) as client,
    ):
        answer = await client.request(method, path)
        assert answer.status_code == status
        if status == 401:
            assert answer.text == "no token found\n"
            assert answer.headers["content-type"] == "text/plain; charset=utf-8"


async def test_a_token_of_another_secret_is_refused(tmp_path):
    """P120: upstream's TestServer_PipelinesCanNotBeAccessedWithWrongJwtToken."""
    async with serving(served(tmp_path)) as world:
        answer = await world.client.get("/pipelines", headers=authorization({"iat": NOW}, FOREIGN))
        assert (answer.status_code, answer.text) == (401, "token is unauthorized\n")


async def test_every_route_of_the_api_is_guarded_or_known_to_be_open(tmp_path):
    app = create_app(served(tmp_path))
    transport = httpx.ASGITransport(app=app)
    told = set()
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        for route in (each for each in app.routes if isinstance(each, Route)):
            path = re.sub("{.*?}", "x", route.path)
            answers = [await client.request(method, path) for method in route.methods or ()]
            told |= {route.path for answer in answers if answer.status_code != 401}
    assert told == {"/health", "/openapi.json"}


def test_no_secret_is_in_what_is_shown(tmp_path):
    assert SECRET.reveal() not in repr(served(tmp_path))
    assert SECRET.reveal() not in repr(Gate(SECRET, at_that_time))
