"""The server is killed while credentials are written, rotated and used, and people log in (§9).

Each time the audit is whole, on the disk before the next start and after it; what was answered is in it.
"""

import base64
import hashlib
import http.client
import os
import random
import threading
import time
import warnings
from http.cookiejar import CookieJar
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, Request, build_opener

import pytest
from paas_pipelines.store.stored_audit import broken_on_disk

from tests.support.pipelines_server import start_server, until

pytestmark = [pytest.mark.process, pytest.mark.long]

KILLS = 5
SETTINGS = """
[pipelines]
credential_keys = ["{key}"]
access = [
  {{identity = "tester", role = "admin", resource = "*"}},
  {{identity = "corp/*", role = "read", resource = "pipeline=*"}},
  {{identity = "pipeline/uses", method = "use", resource = "credential=c"}},
]
[pipelines.login]
type = "oidc"
domain = "corp"
issuer = "{issuer}"
client_id = "pipelines"
client_secret = "canary-of-the-client"
name_claim = "sub"
"""
DEFINITIONS = """
pipelines:
  uses:
    concurrency: 9
    tasks:
      a: {script: ['printf %s "$V" | sha256sum'], env: {V: {from_credential: c}}, restart: retry}
"""


@pytest.fixture
def issuer():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        oidc_provider_mock = pytest.importorskip("oidc_provider_mock")
        with oidc_provider_mock.run_server_in_thread() as provider:
            yield f"http://localhost:{provider.server_port}"


class Busy(threading.Thread):
    """Does something with the server of the moment, again and again, whether there is one or not."""

    def __init__(self, act):
        super().__init__(daemon=True)
        self.act, self.server, self.over = act, None, threading.Event()
        self.tried = self.answered = 0

    def run(self):
        while not self.over.is_set():
            self.tried += 1
            try:
                self.act(self.server, self.tried)
            except (OSError, http.client.HTTPException):  # it was killed
                time.sleep(0.02)
            else:
                self.answered += 1


def value(number):
    return f"canary-value-{number:06}"


def written(server, number):
    body = {"type": "text", "values": {"value": value(number)}}
    answer = server.ask("/credentials/c", body, method="PUT")
    assert answer.status == 201, answer


def used(server, _number):
    server.schedule("uses")
    time.sleep(0.05)


def logged_in(server, number):
    browser = build_opener(HTTPCookieProcessor(CookieJar()))
    with browser.open(f"{server.url}/login/start?next=runs", timeout=5) as form:
        said = Request(form.geturl(), data=urlencode({"sub": f"person{number}"}).encode())
    with browser.open(said, timeout=5) as page:
        assert page.geturl() == f"{server.url}/runs"
    time.sleep(0.02)


@pytest.mark.filterwarnings("ignore")
def test_the_audit_is_whole_and_has_what_was_answered_whenever_the_server_is_killed(tmp_path, issuer):
    key = base64.b64encode(b"k" * 32).decode()
    (tmp_path / "settings.toml").write_text(SETTINGS.format(key=key, issuer=issuer))
    (tmp_path / "settings.toml").chmod(0o600)
    rng = random.Random(os.environ.get("SEED", "7"))
    writer, user, person = people = [Busy(written), Busy(used), Busy(logged_in)]
    for life in range(KILLS):
        with start_server(tmp_path, "--settings", "settings.toml", definitions=DEFINITIONS) as server:
            assert server.ask("/audit/verify").json == {"whole": True}
            for each in people:
                each.server = server
                if life == 0:
                    each.start()
            if life == 0:
                until(lambda: all(each.answered for each in people))
            time.sleep(rng.uniform(0.2, 0.9))
            server.kill()
        assert broken_on_disk(tmp_path / ".prunner") == ""
    for each in people:
        each.over.set()
    for each in people:
        each.join(30)
    assert all(each.answered for each in people), [each.answered for each in people]
    with start_server(tmp_path, "--settings", "settings.toml") as server:
        assert server.ask("/audit/verify").json == {"whole": True}
        lines = server.ask("/audit?limit=1000&what=credentialWrite").json["lines"]
        versions = [line["details"]["version"] for line in reversed(lines)]
        assert versions == list(range(1, len(versions) + 1))  # each once, none lost
        assert writer.answered <= len(versions) <= writer.tried
        logins = server.ask("/audit?limit=1000&what=login").json["lines"]
        assert person.answered <= len([line for line in logins if line["outcome"] == "done"]) <= person.tried
        jobs = until(lambda: _ended(server))
        assert user.answered <= len(jobs) <= user.tried
        uses = server.ask("/audit?limit=1000&what=use").json["lines"]
        noted = {line["details"]["run"] for line in uses if line["outcome"] == "done"}
        done = {job["id"] for job in jobs if job["tasks"][0]["status"] == "done"}
        assert done
        assert done <= noted
        last = server.schedule("uses")
        server.ended(last)
        known = {hashlib.sha256(value(number).encode()).hexdigest() for number in range(1, writer.tried + 1)}
        assert server.output(last, "a").split()[0] in known
        assert "canary" not in server.log


def _ended(server):
    jobs = server.ask("/pipelines/jobs").json["jobs"]
    return jobs if all(job["completed"] or job["canceled"] for job in jobs) else None
