"""Users: OAuth signatures as real clients make them, and what a user may do."""

import base64
import hashlib
import hmac
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import attrs
import httpx
import pytest
from starlette.requests import Request

from paas_runner.sandbox.cloud import Cloud, Organisation, User, create_app
from paas_runner.sandbox.cloud.auth import is_signed, oauth_parameters
from paas_runner.secret import Secret
from tests.support.clouds import CREATION, KEYS, OTHER_TOKEN, TOKEN, Program, real_cloud

PLAIN = (
    'OAuth oauth_consumer_key="consumer-key", oauth_token="user-token", '
    'oauth_signature="consumer-secret%26user-secret"'
)
# Sent by clever-tools 3.14.0: `clever logs --before 2026-11-20T21:41:50.000Z --search "a b+c"`.
SIGNED_PATH = "/v4/logs/organisations/orga_1/applications/app_1/logs"
SIGNED_QUERY = (
    "until=2026-11-20T21%3A41%3A50.000Z&filter=a+b%2Bc&throttleElements=2000&throttlePerInMilliseconds=100"
)
SIGNED = (
    'oauth_consumer_key="consumer-key", oauth_nonce="3YfWVwxLYsDWRTSDpceLBGaa2whMDVze", '
    'oauth_signature="PcgdFp1A6GqEsQ6sULhlvQ7MbOxCSp6z3mDjKLTdWbUEPek6T9%2F13Xm2z1hsU28Wzn4Boow39574syE'
    '%2B1U%2BbjA%3D%3D", oauth_signature_method="HMAC-SHA512", oauth_timestamp="1795232861", '
    'oauth_token="user-token", oauth_version="1.0"'
)


@attrs.frozen
class Member:
    """A user of two organisations out of three, and a client without credentials."""

    cloud: Cloud
    first: Organisation
    second: Organisation
    third: Organisation
    user: User
    client: httpx.AsyncClient

    async def get(self, path: str, authorization: str = PLAIN) -> httpx.Response:
        return await self.client.get(path, headers={"Authorization": authorization})

    async def create(self, owner: str, **fields: Any) -> httpx.Response:
        path = f"/v2/organisations/{owner}/applications"
        headers = {"Authorization": PLAIN}
        return await self.client.post(path, json={**CREATION, **fields}, headers=headers)


@pytest.fixture
async def member() -> AsyncIterator[Member]:
    cloud, first = real_cloud(Program())
    second = cloud.add_organisation("Other", OTHER_TOKEN)
    third = cloud.add_organisation("Foreign")
    user = cloud.accounts.add_user("Somebody", KEYS, first.id, second.id)
    transport = httpx.ASGITransport(create_app(cloud))
    async with httpx.AsyncClient(transport=transport, base_url="http://cloud") as client:
        yield Member(cloud, first, second, third, user, client)
    await cloud.aclose()


def request(*, method: str = "GET", path: str = SIGNED_PATH, query: str = SIGNED_QUERY) -> Request:
    return Request(
        {
            "type": "http",
            "scheme": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(b"host", b"127.0.0.1:8900")],
        }
    )


def test_a_signature_that_a_real_client_made_is_right_for_its_own_request_alone() -> None:
    parameters = oauth_parameters(SIGNED)
    assert is_signed(request(), parameters, KEYS)
    assert not is_signed(request(method="DELETE"), parameters, KEYS)
    assert not is_signed(request(path=f"{SIGNED_PATH}/x"), parameters, KEYS)
    assert not is_signed(request(query=f"{SIGNED_QUERY}&limit=1"), parameters, KEYS)
    assert not is_signed(request(), {**parameters, "oauth_nonce": "another"}, KEYS)
    for pair in ("consumer_secret", "token_secret"):
        assert not is_signed(request(), parameters, attrs.evolve(KEYS, **{pair: Secret("wrong")}))


async def test_a_signed_request_opens_the_api(member: Member) -> None:
    given = {
        "oauth_consumer_key": "consumer-key",
        "oauth_nonce": "once",
        "oauth_signature_method": "HMAC-SHA512",
        "oauth_timestamp": "1795232861",
        "oauth_token": "user-token",
    }
    pairs = quote("&".join(f"{name}={value}" for name, value in given.items()), safe="")
    base = f"GET&{quote('http://cloud/v2/self', safe='')}&{pairs}".encode()
    digest = hmac.new(b"consumer-secret&user-secret", base, hashlib.sha512).digest()
    signature = quote(base64.b64encode(digest), safe="")
    header = ", ".join(f'{name}="{value}"' for name, value in given.items())
    opened = await member.get("/v2/self", f'OAuth {header}, oauth_signature="{signature}"')
    refused = await member.get("/v2/self/id", f'OAuth {header}, oauth_signature="{signature}"')
    assert (opened.status_code, opened.json()["id"]) == (200, member.user.id)
    assert (refused.status_code, refused.json()["id"]) == (401, 2001)


@pytest.mark.parametrize(
    "authorization",
    [
        PLAIN.replace("user-secret", "wrong"),
        PLAIN.replace("consumer-secret", "wrong"),
        PLAIN.replace("consumer-key", "wrong"),
        PLAIN.replace("user-token", "wrong"),
        PLAIN.replace('oauth_signature="consumer-secret%26user-secret"', 'oauth_signature=""'),
        PLAIN.replace(", oauth_signature", ', oauth_signature_method="RSA-SHA1", oauth_signature'),
        "OAuth",
        "OAuth nonsense",
        "token user-token",
        f"OAuth {TOKEN.reveal()}",
    ],
)
async def test_wrong_signatures_are_refused(member: Member, authorization: str) -> None:
    refused = await member.get("/v2/self", authorization)
    assert (refused.status_code, refused.json()["id"]) == (401, 2001)


async def test_a_user_acts_for_every_organisation_of_theirs_and_for_no_other(member: Member) -> None:
    for owner in (member.first.id, member.second.id, member.user.id):
        created = await member.create(owner)
        assert (created.status_code, created.json()["ownerId"]) == (200, owner)
    refused = await member.create(member.third.id)
    assert refused.status_code == 403
    assert {entry.created_by for entry in member.cloud.ledger.created} == {KEYS.token}


async def test_a_user_s_names_are_those_of_the_organisations_and_of_the_personal_space(
    member: Member,
) -> None:
    await member.create(member.second.id, name="theirs")
    await member.create(member.user.id, name="mine")
    summary = (await member.get("/v2/summary")).json()
    names = {each["id"]: [app["name"] for app in each["applications"]] for each in summary["organisations"]}
    assert names == {member.first.id: [], member.second.id: ["theirs"]}
    assert [app["name"] for app in summary["user"]["applications"]] == ["mine"]


async def test_an_oauth_token_has_an_end_and_an_organisation_s_cannot_be_asked_for_it(member: Member) -> None:
    result = (await member.get("/v2/self/tokens/current")).json()
    assert (result["token"], result["consumer"]["key"]) == ("user-token", "consumer-key")
    assert result["expirationDate"] - result["creationDate"] == 365 * 24 * 3600 * 1000
    refused = await member.get("/v2/self/tokens/current", f"token {TOKEN.reveal()}")
    assert (refused.status_code, refused.json()["id"]) == (403, 1504)


async def test_replaced_tokens_are_refused_and_what_they_made_stays(member: Member) -> None:
    path = f"/v2/organisations/{member.second.id}/applications"
    old, new = (f"token {token}" for token in (OTHER_TOKEN.reveal(), "newer"))
    await member.client.post(path, json=CREATION, headers={"Authorization": old})
    member.cloud.accounts.replace_tokens(member.second.id, Secret("newer"))
    assert (await member.get(path, old)).status_code == 401
    assert len((await member.get(path, new)).json()) == 1
