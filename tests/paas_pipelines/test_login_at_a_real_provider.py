"""The whole program and an OpenID provider of somebody else, over sockets: a person logs in (§9)."""

import re
import warnings
from http.cookiejar import CookieJar
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, Request, build_opener

import pytest

from tests.support.pipelines_server import start_server

pytestmark = [pytest.mark.process, pytest.mark.long]


@pytest.fixture
def issuer():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        oidc_provider_mock = pytest.importorskip("oidc_provider_mock")
        with oidc_provider_mock.run_server_in_thread() as provider:
            yield f"http://localhost:{provider.server_port}"


@pytest.mark.filterwarnings("ignore")
def test_a_person_logs_in_at_a_provider_and_sees_what_it_may(tmp_path, issuer):
    (tmp_path / "settings.toml").write_text(f"""
[pipelines]
access = [{{identity = "corp/*", role = "read", resource = "pipeline=shown"}}]
[pipelines.login]
type = "oidc"
domain = "corp"
issuer = "{issuer}"
client_id = "pipelines"
client_secret = "canary-of-the-client"
name_claim = "sub"
""")
    (tmp_path / "settings.toml").chmod(0o600)
    definitions = "pipelines: {shown: {tasks: {}}, hidden: {tasks: {}}}"
    with start_server(tmp_path, "--settings", "settings.toml", definitions=definitions) as server:
        browser = build_opener(HTTPCookieProcessor(CookieJar()))
        assert "Log in at corp" in browser.open(f"{server.url}/").read().decode()
        with browser.open(f"{server.url}/login/start?next=runs") as form:
            address = form.geturl()
            assert address.startswith(issuer)
            assert re.search(r"code_challenge_method=S256", address)
        said = Request(address, data=urlencode({"sub": "bob"}).encode())
        with browser.open(said) as page:
            assert page.geturl() == f"{server.url}/runs"
        page = browser.open(f"{server.url}/").read().decode()
        assert "shown" in page
        assert "hidden" not in re.sub(r'type="hidden"', "", page)
        assert "canary-of-the-client" not in server.log
