"""How an executor's settings are understood: engines, proxies, log-ins. Nothing is asked of an engine."""

import base64
import hashlib
import json

import pytest
from paas_pipelines.credentials.vault import CredentialError
from paas_pipelines.definitions.automation import ExecutorDefinition
from paas_pipelines.tasks.executing.containers import BadExecutorError
from paas_pipelines.tasks.executing.engines import Engines, context_address
from paas_pipelines.tasks.workspace import Workspaces

from paas_runner.secret import Secret

TCP = {"host": "tcp://engine.example:2375", "image": "alpine"}
PROXY = "http://proxy.example:3128"


def engines(**more):
    return Engines(files=None, workspaces=Workspaces(), **{"environ": {}, **more})


async def opened(settings, **more):
    return await engines(**more).opened(ExecutorDefinition(type="docker", settings=settings))


def address(found):
    return found.containers._engine.address


async def test_the_engine_is_that_of_the_executor_or_of_the_server():
    assert address(await opened(TCP)).url == "tcp://engine.example:2375"
    there = {"DOCKER_HOST": "unix:///there"}
    assert address(await opened({"image": "a"}, environ=there)).url == "unix:///there"
    assert address(await opened(TCP, environ=there)).url == "tcp://engine.example:2375"


async def test_a_context_names_the_engine_and_its_certificates(tmp_path):
    digest = hashlib.sha256(b"far").hexdigest()
    meta = tmp_path / "contexts" / "meta" / digest
    meta.mkdir(parents=True)
    meta.joinpath("meta.json").write_text(json.dumps({"Endpoints": {"docker": {"Host": "tcp://far:2376"}}}))
    tls = tmp_path / "contexts" / "tls" / digest / "docker"
    tls.mkdir(parents=True)
    environ = {"DOCKER_CONFIG": str(tmp_path), "DOCKER_CONTEXT": "far"}
    for settings in ({"image": "a", "context": "far"}, {"image": "a"}):
        found = address(await opened(settings, environ=environ))
        assert (found.url, found.certificates, found.verify) == ("tcp://far:2376", tls, True)
    assert address(await opened(TCP, environ=environ)).url == TCP["host"]
    with pytest.raises(ValueError, match='there is no Docker context "near"'):
        context_address(tmp_path, "near")


@pytest.mark.parametrize(
    ("settings", "proxies"),
    [
        ({**TCP, "http_proxy": PROXY}, {"http": PROXY}),
        ({**TCP, "http_proxy": PROXY, "no_proxy": "x, .example"}, {}),
        ({**TCP, "http_proxy": PROXY, "no_proxy": "engine.example"}, {}),
        ({**TCP, "https_proxy": PROXY, "no_proxy": "ngine.example"}, {"https": PROXY}),
        ({"image": "a", "http_proxy": PROXY}, {}),
    ],
)
async def test_proxies_are_for_the_way_to_an_engine_that_is_far(settings, proxies):
    found = await opened(settings)
    assert address(found).proxies == proxies
    assert found.environment == {}  # containers have those of config.json


async def test_containers_have_the_proxies_of_the_configuration():
    default = {"httpProxy": PROXY, "noProxy": "localhost"}
    found = await opened({**TCP, "config.json": {"proxies": {"default": default}}})
    assert found.environment == {
        "HTTP_PROXY": PROXY,
        "http_proxy": PROXY,
        "NO_PROXY": "localhost",
        "no_proxy": "localhost",
    }


async def test_volumes_and_platform():
    volumes = [{"name": "cache", "path": "/cache"}, {"name": "/srv", "path": "/srv", "read_only": True}]
    found = await opened({**TCP, "volumes": volumes, "platform": "linux/arm64"})
    assert found.volumes == ("cache:/cache", "/srv:/srv:ro")
    assert found.platform == "linux/arm64"
    with pytest.raises(BadExecutorError, match="a volume needs `name` and `path`"):
        await opened({**TCP, "volumes": [{"name": "cache"}]})


async def test_a_login_is_for_the_registry_of_the_image_and_the_users_file_stays_as_it_is(tmp_path):
    (tmp_path / "config.json").write_text('{"auths": {}}')

    async def reveal(ref):
        return Secret(f"value of {ref.name}")

    login = {"username": "ci", "password": {"from_credential": "registry"}}
    settings = {"image": "registry.example/app:1", "login": login}
    found = await opened(settings, reveal=reveal, environ={"DOCKER_CONFIG": str(tmp_path)})
    shown = found.containers._login("registry.example")
    assert (shown["username"], shown["password"]) == ("ci", "value of registry")
    assert found.containers._login("other.example") is None
    assert (tmp_path / "config.json").read_text() == '{"auths": {}}'


async def test_a_credential_that_cannot_be_had_is_told():
    async def reveal(ref):
        raise CredentialError(f'credential "{ref.name}" is not defined')

    settings = {**TCP, "login": {"username": "ci", "password": {"from_credential": "registry"}}}
    with pytest.raises(BadExecutorError, match='credential "registry" is not defined'):
        await opened(settings, reveal=reveal)
    with pytest.raises(BadExecutorError, match="this server has no credentials"):
        await opened(settings)


async def test_helpers_and_stores_for_credentials_are_asked(tmp_path, monkeypatch):
    helper = tmp_path / "docker-credential-tests"
    helper.write_text(
        '#!/bin/sh\nread -r registry\necho "{\\"Username\\": \\"u\\", \\"Secret\\": \\"for $registry\\"}"\n'
    )
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    by_helper = await opened(
        {"image": "registry.example/a", "login": {"credHelpers": {"registry.example": "tests"}}}
    )
    assert by_helper.containers._login("registry.example")["Password"] == "for registry.example"
    by_store = await opened({"image": "registry.example/a", "login": {"credsStore": "tests"}})
    assert by_store.containers._login("registry.example")["Password"] == "for registry.example"


async def test_a_configuration_may_have_logins_itself():
    auth = base64.b64encode(b"me:secret").decode()
    found = await opened({**TCP, "config.json": {"auths": {"registry.example": {"auth": auth}}}})
    assert found.containers._login("registry.example")["password"] == "secret"


async def test_what_is_open_is_not_opened_again():
    made = engines()
    one, same, other = [
        await made.opened(ExecutorDefinition(type="docker", name=name, settings=settings))
        for name, settings in (("a", TCP), ("b", dict(TCP)), ("c", {**TCP, "image": "b"}))
    ]
    assert one is same
    assert one is not other
    await made.aclose()
