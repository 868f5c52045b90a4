"""`paas-runner pipelines`: `check` tells everything wrong at once, `serve` is the same server."""

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.pipelines_server import environment, start_server

pytestmark = pytest.mark.process

PAAS_RUNNER = str(Path(sys.executable).with_name("paas-runner"))
WRONG = """\
pipelines:
  one: {concurrency: -1}
  two: {tasks: {a: {depends_on: [b]}}}
  three: {tasks: {r: {runner: big}}}
"""


def checked(folder, *options, **variables):
    done = subprocess.run(
        [PAAS_RUNNER, "pipelines", "check", "--json", "--address", "127.0.0.1:0", *options],
        cwd=folder,
        env=environment(folder, **variables),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stderr == ""
    return done.returncode, [
        (each["subject"], each["grade"], each["text"]) for each in json.loads(done.stdout)["results"]
    ]


def test_a_good_folder_is_fine_and_stays_as_it_is(tmp_path):
    (tmp_path / "pipelines.yml").write_text("pipelines: {one: {tasks: {a: {script: [pwd]}}}}\n")
    code, found = checked(tmp_path)
    assert code == 0
    assert {grade for _, grade, _ in found} == {"fine"}
    assert [path.name for path in tmp_path.iterdir()] == ["pipelines.yml"]


def test_all_that_is_wrong_is_told_at_once_with_its_place(tmp_path):
    (tmp_path / "pipelines.yml").write_text(WRONG)
    (tmp_path / ".prunner.yml").write_text("jwt_secret: canary\n")
    (tmp_path / ".env").write_text("CANARY='canary\n")
    (tmp_path / "data").touch()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, found = checked(tmp_path, "--data", "data", f"--address=127.0.0.1:{taken.getsockname()[1]}")
    assert code == 1
    faults = [(subject, text) for subject, grade, text in found if grade == "fault"]
    assert [subject for subject, _ in faults] == [
        "definitions",
        "definitions",
        "secret",
        "env files",
        "data",
        "address",
    ]
    assert faults[0][1].startswith("pipelines.yml:2: ")
    assert "concurrency must be greater than 0" in faults[0][1]
    assert 'missing task "b" referenced in depends_on of task "a"' in faults[1][1]
    assert "Address already in use" in faults[-1][1]
    assert ("external_url", "warning") in [(subject, grade) for subject, grade, _ in found]
    assert "canary" not in str(found)


def test_a_script_that_is_no_template_is_warned_of_before_its_task_fails(tmp_path):
    (tmp_path / "pipelines.yml").write_text("pipelines: {one: {tasks: {a: {script: [pwd, '{{ if }}']}}}}\n")
    code, found = checked(tmp_path)
    assert code == 0
    assert [text for _, grade, text in found if grade == "warning"] == [
        "pipelines.yml:1: one.tasks.a.script, entry 2: template: interpolate:1: missing value for if"
    ]


def test_beside_a_running_server_it_is_no_obstacle(tmp_path):
    command = (PAAS_RUNNER, "pipelines", "serve")
    with start_server(tmp_path, command=command, definitions="pipelines: {one: {}}\n") as server:
        assert server.ended(server.schedule("one"))["completed"]
        code, found = checked(tmp_path)
        assert (code, ("address", "skipped") in [each[:2] for each in found]) == (0, True)
        server.signal(signal.SIGTERM)
        assert server.wait() == 0


def test_serve_has_the_exit_codes_of_the_house(tmp_path):
    (tmp_path / ".prunner.yml").write_text("jwt_secret: short\n")
    done = subprocess.run(
        [PAAS_RUNNER, "pipelines", "serve"],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, "at least 16 characters" in done.stderr) == (78, True)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("pipelines.yml", "pipelines: [\n", "decoding YAML"),
        (".env", 'CANARY="canary without an end\n', "loading env file .env"),
        ("pipelines.yml", "pipelines: {one: {notify: [{to: teem, at: failed}]}}\n", "did you mean `team`?"),
    ],
)
def test_serve_ends_with_78_for_what_has_to_be_mended(tmp_path, name, text, told):
    (tmp_path / name).write_text(text)
    (tmp_path / "settings.toml").write_text(
        '[pipelines.notifiers.team]\ntype = "slack"\nurl = "https://chat.example.com/canary"\n'
    )
    (tmp_path / "settings.toml").chmod(0o600)
    done = subprocess.run(
        [PAAS_RUNNER, "pipelines", "serve", "--address", "127.0.0.1:0", "--settings", "settings.toml"],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, told in done.stderr) == (78, True), done
    assert "canary" not in done.stderr
    assert "Traceback" not in done.stderr


def test_what_definitions_name_must_be_in_the_settings(tmp_path):
    (tmp_path / "pipelines.yml").write_text("""\
pipelines:
  one:
    notify: [{to: mail, at: failed}]
    triggers:
      push: {provider: github, secret: {from_credential: hook}}
    tasks:
      a: {message: {to: chat}}
      b: {script: [x], env: {KEY: {from_credential: known}, OTHER: {from_credential: aws}}}
""")
    (tmp_path / "settings.toml").write_text(
        '[pipelines.credentials.known]\ntype = "text"\nvalue = "long enough for this"\n'
    )
    (tmp_path / "settings.toml").chmod(0o600)
    code, found = checked(tmp_path, "--settings", "settings.toml")
    assert code == 1
    begin = 'invalid pipeline definition "one": '
    assert [text for subject, grade, text in found if (subject, grade) == ("settings", "fault")] == [
        f'pipelines.yml:3: {begin}unknown notifier "mail"',
        f'pipelines.yml:7: {begin}task "a": unknown notifier "chat"',
        f'pipelines.yml:5: {begin}trigger "push": there is no credential "hook"',
    ]
    assert [text for _, grade, text in found if grade == "warning" and "no credential" in text] == [
        'pipelines.yml: one.b: there is no credential "aws"'
    ]
    may_not = [text.partition(": pipeline/")[0] for _, _, text in found if "may not use" in text]
    assert may_not == ["pipelines.yml: one.push", "pipelines.yml: one.b", "pipelines.yml: one.b"]


def test_an_address_of_the_settings_file_is_one_for_hosts_elsewhere(tmp_path):
    (tmp_path / "pipelines.yml").write_text("pipelines: {one: {tasks: {a: {runner: big}}}}\n")
    (tmp_path / "settings.toml").write_text('[pipelines]\nexternal_url = "https://ci.example.com"\n')
    assert "external_url" not in str(checked(tmp_path, "--settings", "settings.toml"))


def test_calls_of_triggers_that_no_statement_allows_are_named_at_any_depth(tmp_path):
    (tmp_path / "pipelines.yml").write_text("""
pipelines:
  night:
    triggers: {t: {every: 1h}}
    tasks: {a: {call: middle}}
  middle:
    tasks: {a: {call: end}}
  end:
    tasks: {a: {script: [x]}}
""")
    settings = tmp_path / "settings.toml"

    def warned(*statements):
        lines = ", ".join(f'{{identity = "{who}", role = "start", resource = "*"}}' for who in statements)
        settings.write_text(f"[pipelines]\naccess = [{lines}]\n")
        _, found = checked(tmp_path, "--settings", "settings.toml")
        return [text for _, grade, text in found if grade == "warning" and "runs call" in text]

    assert warned() == warned("*") == warned("ada", "trigger/night/*") == []
    assert warned("ada") == [
        f"pipelines.yml: trigger/night/t may not start pipeline={each}, which its runs call"
        for each in ("middle", "end")
    ]
