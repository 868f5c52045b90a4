"""The real program shows the pages beside its API: what a person starts there runs, and is read there."""

import contextlib
import re

import httpx
import pytest

from tests.support.pipeline_pages import OF_OUR_PAGES, Seen
from tests.support.pipelines_server import start_server, until

pytestmark = pytest.mark.process

DEFINITIONS = """
pipelines:
  greet:
    params:
      name: {type: string, required: true, description: Whom to greet}
      times: {type: number, default: 1}
    tasks:
      say:
        script:
          - echo "hello {{ .name }}, {{ .times }} times"
          - while [ ! -e go ]; do sleep 0.05; done
      then:
        script: [echo done]
        depends_on: [say]
"""


@contextlib.contextmanager
def person_at(server):
    """Somebody who has logged in by the form."""
    with httpx.Client(
        base_url=server.url, headers=OF_OUR_PAGES, follow_redirects=True, timeout=60
    ) as browser:
        page = Seen(browser.get("/").text)
        assert "Token" in page.text
        entered = browser.post("/login", data={"token": server.token(sub="alice")})
        assert entered.url.path == "/"
        yield browser


def test_a_person_starts_follows_and_reads_a_run(tmp_path):
    with start_server(tmp_path, definitions=DEFINITIONS) as server, person_at(server) as browser:
        assert "1 pipeline" in Seen(browser.get("/").text).text
        form = Seen(browser.get("/pipeline?name=greet").text)
        assert "name (needed) Whom to greet" in form.text
        [csrf] = [each["value"] for each in form.all("input") if each.get("name") == "csrf"]
        refused = browser.post("/pipeline?name=greet", data={"csrf": csrf, "v.times": "x"})
        assert (refused.status_code, refused.text.count("aria-invalid")) == (400, 2)
        started = browser.post("/pipeline?name=greet", data={"csrf": csrf, "v.name": "<you>", "v.times": "3"})
        run_id = started.url.params["id"]
        assert server.job(run_id)["user"] == "alice"
        task = f"/task?id={run_id}&task=say"
        until(lambda: "hello <you>, 3 times" in Seen(browser.get(task).text).text)
        assert "greet : running" in Seen(browser.get(f"/run?id={run_id}").text).text
        [address] = re.findall('data-follow="([^"]*)"', browser.get(task).text)
        with browser.stream("GET", f"/{address.replace('&amp;', '&')}") as followed:
            (tmp_path / "go").touch()
            assert "event: end" in followed.read().decode()
        server.ended(run_id)
        assert "greet : done" in Seen(browser.get(f"/run?id={run_id}").text).text
        assert "done" in Seen(browser.get(f"/task?id={run_id}&task=then").text).text
        browser.post("/logout")
        assert browser.get("/runs").url.path == "/login"
        assert server.token().split(".")[0] not in server.log
