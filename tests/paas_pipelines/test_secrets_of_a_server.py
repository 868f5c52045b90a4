"""A real server with secrets of every kind: who should gets them, and they are nowhere else (§8, §11)."""

import base64
import json
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.support.pipelines_server import PROGRAM, environment, start_server, until

pytestmark = [pytest.mark.process, pytest.mark.long]

RUNNER = PROGRAM.with_name("paas-runner")
KEY = base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
CANARIES = {
    "text": "canary-text-1",
    "env": "canary-env-22",
    "password": "canary-password-333",
    "key": "canary-key-4444",
    "printed": "canary-printed-55555",
    "stored": "canary-stored-666666",
    "hook": "canary-hook-7777777",
    "client": "canary-client-88888888",
}
SETTINGS = f"""
[pipelines]
credential_keys = ["{KEY}"]
access = [
  {{identity = ["admin"], role = "admin", resource = ["*"]}},
  {{identity = ["tester"], role = "start", resource = ["pipeline=*"]}},
  {{identity = ["pipeline/deploy"], method = ["use"], resource = ["credential=*"]}},
]
[pipelines.credentials.text]
type = "text"
value = "{CANARIES["text"]}"
[pipelines.credentials.env]
type = "text"
value = "env:CANARY_OF_ENV"
[pipelines.credentials.account]
type = "username_password"
username = "app"
password = "file:password"
[pipelines.credentials.key]
type = "ssh"
private_key = "-----BEGIN KEY-----\\n{CANARIES["key"]}\\n-----END KEY-----"
[pipelines.credentials.printed]
type = "exec"
command = ["/bin/cat", "{{folder}}/printed"]
[pipelines.credentials.hook]
type = "text"
value = "{CANARIES["hook"]}"
[pipelines.credentials.client]
type = "github_oauth"
client_id = "app"
client_secret = "{CANARIES["client"]}"
"""
DEFINITIONS = """
pipelines:
  deploy:
    tasks:
      all:
        env:
          A: {from_credential: text}
          B: {from_credential: env}
          C: {from_credential: account}
          D: {from_credential: key, as: file}
          E: {from_credential: printed}
          F: {from_credential: stored}
        script:
          - echo "$A $B $C $E $F"; cat "$D"; env | grep -c -e ^A= -e ^B= -e ^C= -e ^E= -e ^F=
          - sleep 1
      other:
        script: ["env", "sleep 1"]
"""


def commanded(server, *words, stdin="", code=0):
    done = subprocess.run(
        [RUNNER, "pipelines", *words, "--address", server.url.removeprefix("http://"), "--user", "admin"],
        cwd=server.folder,
        env=environment(server.folder),
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == code, done
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


class Watching(threading.Thread):
    """The arguments of all processes, again and again."""

    def __init__(self):
        super().__init__(daemon=True)
        self.seen, self.over = set(), False

    def run(self):
        while not self.over:
            for process in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    self.seen.add(process.read_bytes())
                except OSError:
                    continue
            time.sleep(0.02)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("secrets")
    (folder / "settings.toml").write_text(SETTINGS.replace("{folder}", str(folder)))
    (folder / "settings.toml").chmod(0o600)
    for name, canary in (("password", "password"), ("printed", "printed")):
        (folder / name).write_text(CANARIES[canary] + "\n")
        (folder / name).chmod(0o600)
    with start_server(
        *(folder, "--settings", "settings.toml"), definitions=DEFINITIONS, CANARY_OF_ENV=CANARIES["env"]
    ) as server:
        yield server


def test_secrets_are_where_they_belong_and_nowhere_else(server):
    said = commanded(
        *(server, "credentials", "set", "stored", "--type", "text"),
        stdin=json.dumps({"value": CANARIES["stored"]}),
    )
    assert said.startswith("credential stored is stored, version ")
    watching = Watching()
    watching.start()
    run = server.schedule("deploy")
    assert not server.ended(run)["errored"]
    watching.over = True
    watching.join()
    output = server.output(run, "all")
    assert output.split("\n")[0] == " ".join(["[MASKED]"] * 5)
    assert output.strip().endswith("[MASKED]5")
    admin = server.token(sub="admin")
    told = [
        said,
        output,
        server.output(run, "other"),
        server.log,
        *map(repr, watching.seen),
        *(commanded(server, *words) for words in (["credentials", "list"], ["audit"], ["audit", "verify"])),
        *(
            server.ask(path, token=admin).text
            for path in (
                *(
                    "/pipelines/jobs",
                    f"/job/detail?id={run}",
                    "/metrics",
                    "/credentials",
                    "/credentials/stored",
                ),
                *(
                    "/audit",
                    "/",
                    "/runs",
                    f"/run?id={run}",
                    f"/task?id={run}&task=all",
                    "/pipeline?name=deploy",
                ),
            )
        ),
    ]
    for name, canary in CANARIES.items():
        assert not [text for text in told if canary in text], name
        for path in (server.folder / ".prunner").rglob("*"):
            assert not path.is_file() or canary.encode() not in path.read_bytes(), (name, path)
    assert not list((server.folder / ".prunner" / "work").glob("*"))


def test_the_audit_names_who_used_what_and_is_whole(server):
    commanded(
        server, "credentials", "set", "stored", "--type", "text", stdin='{"value": "canary-stored-666666"}'
    )
    server.ended(server.schedule("deploy"))
    admin = server.token(sub="admin")
    lines = server.ask("/audit?limit=100&what=use", token=admin).json["lines"]
    assert {(line["who"], line["resource"]) for line in lines} >= {
        ("pipeline/deploy", f"credential={name}")
        for name in ("text", "env", "account", "key", "printed", "stored")
    }
    assert commanded(server, "audit", "verify") == "all lines are as they were written\n"
    assert server.ask("/audit").status == 403


def test_access_is_explained_with_the_statements_that_decide(server):
    said = commanded(server, "access", "explain", "use", "credential=text", "--of", "pipeline/deploy")
    assert said.splitlines()[0] == "pipeline/deploy may use credential=text: a statement allows it"
    assert "pipelines.access[2]" in said
    said = commanded(server, "access", "explain", "pause", "trigger=deploy/x", "--of", "tester", code=1)
    assert said == "tester may not pause trigger=deploy/x: no statement allows it\n"
    assert "did you mean `start`" in commanded(server, "access", "explain", "strat", "server", code=1)


def test_a_credential_in_use_stays_and_another_goes(server):
    commanded(
        server, "credentials", "set", "stored", "--type", "text", stdin='{"value": "canary-stored-666666"}'
    )
    assert "is in use: pipeline deploy, task all" in commanded(
        server, "credentials", "remove", "stored", code=1
    )
    assert "stands in the settings file" in commanded(
        *(server, "credentials", "set", "text", "--type", "text"), stdin='{"value": "canary-x"}', code=1
    )
    (server.folder / "value").write_text("of a file\n")
    commanded(server, "credentials", "set", "idle", "--type", "text", "--file", "value=value")
    assert "idle  text  store" in commanded(server, "credentials", "list")
    commanded(server, "credentials", "rekey")
    assert commanded(server, "credentials", "remove", "idle") == "credential idle is removed\n"
    assert (
        server.ask("/credentials/idle", method="PUT", body={"type": "text", "values": {"value": "x"}}).status
        == 403
    )


def test_statements_are_read_again_and_wrong_ones_change_nothing(server):
    import signal

    path = server.folder / "settings.toml"
    before = path.read_text()
    path.write_text(before.replace('role = "start"', 'role = "strat"'))
    server.signal(signal.SIGUSR1)
    until(lambda: "did you mean `start`" in server.log)
    assert server.ask("/pipelines").json["pipelines"]
    path.write_text(before.replace('{identity = ["tester"], role = "start", resource = ["pipeline=*"]},', ""))
    server.signal(signal.SIGUSR1)
    until(lambda: not server.ask("/pipelines").json["pipelines"])
    path.write_text(before)
    server.signal(signal.SIGUSR1)
    until(lambda: server.ask("/pipelines").json["pipelines"])
