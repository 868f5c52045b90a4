"""A pipeline that a coordinator evaluates: a real server with the documented answers, and with faults."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

MERGED = """\
---
test:
  script:
  - echo from a component
  before_script:
  - echo by default
"""
VALID = {
    "valid": True,
    "merged_yaml": MERGED,
    "errors": [],
    "warnings": ["jobs:test may allow multiple pipelines to run"],
    "includes": [],
    "jobs": [{"name": "test", "stage": "test", "script": ["echo from a component"]}],
}
TOKEN = "glpat-abcdefghijklmnopqrst"


class Lint:
    """Answers every request with `status` and `body`, and keeps what was asked."""

    def __init__(self):
        self.status, self.body = 200, json.dumps(VALID)
        self.asked = []


@pytest.fixture
def lint(project):
    known = Lint()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            known.asked.append((self.path, self.headers["PRIVATE-TOKEN"], json.loads(body)))
            self.send_response(known.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(known.body)))
            self.end_headers()
            self.wfile.write(known.body.encode())

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    known.url = f"http://127.0.0.1:{server.server_port}"
    project.write(".gitlab-ci.yml", "include: [{component: gitlab.example.org/a/b@1}]\n")
    project.write("token", f"{TOKEN}\n")
    yield known
    server.shutdown()
    server.server_close()


def test_what_it_has_merged_is_read_and_its_warnings_are_told(lint, called):
    code, answer, messages = called("--url", lint.url, "--token-file", "token", "--json")
    assert code == 0, messages
    assert [job["job"] for job in json.loads(answer)["jobs"]] == ["test"]
    assert "warning: jobs:test may allow multiple pipelines to run" in messages
    [(path, token, body)] = lint.asked
    assert (path, token) == ("/api/v4/projects/group%2Fwords/ci/lint", TOKEN)
    assert body == {
        "content": "include: [{component: gitlab.example.org/a/b@1}]\n",
        "include_jobs": True,
        "dry_run": False,
    }


def test_the_token_may_be_in_the_environment_and_the_project_named(lint, called, monkeypatch):
    monkeypatch.setenv("GITLAB_TOKEN", TOKEN)
    assert called("--url", lint.url, "--project", "7")[0] == 0
    assert lint.asked[0][:2] == ("/api/v4/projects/7/ci/lint", TOKEN)


INVALID = {
    "valid": False,
    "errors": ["jobs:test:script config is empty"],
    "warnings": [],
    "merged_yaml": None,
}
FAULTS = {
    "401": (401, '{"message": "401 Unauthorized"}', 1, "the token is not accepted"),
    "403": (403, '{"message": "403 Forbidden"}', 1, "it needs the scope `api`"),
    "404": (404, '{"message": "404 Project Not Found"}', 1, "--project takes its full path or its id"),
    "422": (422, '{"message": "no such thing"}', 1, "answered 422: no such thing"),
    "no json": (200, "<html>", 1, "the answer is none of the CI Lint API"),
    "another form": (200, "[1]", 1, "the answer is none of the CI Lint API"),
    "invalid": (200, json.dumps(INVALID), 2, "refuses the pipeline:\n  jobs:test:script config is empty"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_refusal_is_told_in_words_and_never_with_the_token(lint, called, fault):
    lint.status, lint.body, wanted, words = FAULTS[fault]
    code, answer, messages = called("--url", lint.url, "--token-file", "token")
    assert (code, answer) == (wanted, "")
    assert words in messages
    assert TOKEN not in messages
    assert "Traceback" not in messages
