"""A server that is killed tells all the same, under one id: with a receiver that was away meanwhile."""

import http.server
import json
import socket
import threading

import pytest

from tests.support.pipelines_server import start_server, until

pytestmark = [pytest.mark.long, pytest.mark.process]

DEFINITIONS = """
pipelines:
  deploy:
    notify: [{to: ops, at: blocked}, {to: ops, at: failed}]
    tasks:
      ok: {type: approval, text: Deploy?}
"""


class Receiver(http.server.BaseHTTPRequestHandler):
    """It keeps what it is told."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.headers["webhook-id"], json.loads(body)))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        """Nothing."""


def test_what_a_killed_server_had_to_tell_the_next_one_tells_under_one_id(tmp_path):
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        port = tried.getsockname()[1]
    (tmp_path / "settings.toml").write_text(
        '[pipelines]\nexternal_url = "http://ci.example.com"\n'
        f'[pipelines.notifiers.ops]\ntype = "webhook"\nurl = "http://127.0.0.1:{port}/hook"\n'
    )
    options = ("--settings", "settings.toml")
    with start_server(tmp_path, *options, definitions=DEFINITIONS) as server:
        run_id = server.schedule("deploy")
        until(lambda: "notice_not_taken" in server.log)
        server.kill()
    receiver = http.server.ThreadingHTTPServer(("127.0.0.1", port), Receiver)
    receiver.got = []
    listening = threading.Thread(target=receiver.serve_forever)
    listening.start()
    try:
        with start_server(tmp_path, *options) as server:
            until(lambda: receiver.got)
            [approval] = server.ask("/approvals").json["approvals"]
            answer = server.ask(
                f"/runs/{run_id}/approvals/ok", {"decision": "reject", "digest": approval["digest"]}
            )
            assert answer.status == 200, answer
            server.kill()
        with start_server(tmp_path, *options):
            until(lambda: len(dict(receiver.got)) == 2)
        with start_server(tmp_path, *options) as server:
            until(lambda: server.ask("/health").status == 200)
    finally:
        receiver.shutdown()
        listening.join()
        receiver.server_close()
    blocked, failed = dict(receiver.got).values()
    assert blocked["subject"] == "deploy: approval of ok is asked for"
    assert blocked["link"] == f"http://ci.example.com/approval?id={run_id}&task=ok"
    assert failed["subject"] == "deploy failed"
    assert "rejected by tester" in failed["text"]
