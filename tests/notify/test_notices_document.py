"""`docs/notices.md` says how to know that a notice is genuine, and what there is to be told."""

import re
import subprocess
from pathlib import Path

import pytest

from paas_runner.job.notice import TOLD
from paas_runner.notify.webhook import signature_headers
from tests.support.records import NOW
from tests.support.requirements import need

PAGE = (Path(__file__).parents[2] / "docs" / "notices.md").read_text()
SECRET, BODY = "a secret of an operator", '{"why": "größer"}'.encode()


@pytest.fixture
def headers():
    return dict(signature_headers("n-1", NOW, BODY, SECRET.encode()))


def test_the_receiver_in_python_takes_what_is_ours_once_in_time_and_nothing_else(headers):
    found = {}
    [code] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(code, found)

    def taken(body=BODY, secret=SECRET, seen=(), later=0):
        return found["is_genuine"](headers, body, secret, seen, now=lambda: NOW.timestamp() + later)

    assert taken()
    assert not taken(body=BODY + b" ")
    assert not taken(secret="another secret of somebody")
    assert not taken(seen=("n-1",))
    assert not taken(later=600)


def test_the_line_of_shell_makes_the_same_signature(headers, tmp_path):
    need("openssl")
    [script] = [code for code in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) if "openssl" in code]
    (tmp_path / "body").write_bytes(BODY)
    environ = {
        "PATH": "/usr/bin:/bin",
        "WEBHOOK_ID": headers["webhook-id"],
        "WEBHOOK_TIMESTAMP": headers["webhook-timestamp"],
        "BODY": str(tmp_path / "body"),
        "SECRET": SECRET,
    }
    done = subprocess.run(["sh", "-c", script], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == headers["webhook-signature"]


def test_each_kind_is_in_its_table():
    [_, *kinds] = re.findall(r"^\| `([a-z_]+)` \|", PAGE, re.MULTILINE)
    assert kinds == [str(kind) for kind in TOLD]
