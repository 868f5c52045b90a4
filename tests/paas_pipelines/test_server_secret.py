"""The secret of tokens: where it comes from, and who can read it (spec §5)."""

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from paas_pipelines.server.dynamic_config import SecretError, secret_of
from paas_pipelines.server.settings import Settings

from paas_runner.secret import Secret

GIVEN = Secret("given, and long enough")


@pytest.fixture
def config(tmp_path):
    return tmp_path / ".prunner.yml"


def of(config, given=None):
    return secret_of(Settings(config=config, jwt_secret=given)).reveal()


def test_one_that_is_given_wins_and_no_file_is_made(config):
    """P080."""
    assert of(config, GIVEN) == GIVEN.reveal()
    assert not config.exists()


def test_a_file_is_made_with_a_random_one_for_its_owner_alone(config):
    """P093."""
    os.umask(umask := os.umask(0))
    try:
        os.umask(0)
        made = of(config)
    finally:
        os.umask(umask)
    assert re.fullmatch(r"[A-Za-z0-9]{32}", made)
    assert config.read_text() == f"jwt_secret: {made}\n"
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert list(config.parent.iterdir()) == [config]
    assert of(config) == made


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("jwt_secret: short\n", "jwt_secret must be at least 16 characters long"),
        ("jwt_secret: 123456789012345\n", "jwt_secret must be at least 16 characters long"),
        ("", "missing jwt_secret"),
        ("other: key\n", "missing jwt_secret"),
        ("jwt_secret:\n", "missing jwt_secret"),
        ("jwt_secret: {canary-secret: in here}\n", "decoding config"),
        ("- canary-secret\n", "decoding config"),
        ("jwt_secret: [canary-secret\n", "decoding config"),
    ],
)
def test_one_that_cannot_be_used_is_fatal(config, text, told):
    """P094."""
    config.write_text(text)
    with pytest.raises(SecretError, match=re.escape(told)) as raised:
        of(config)
    assert "canary" not in str(raised.value)


def test_one_that_is_given_too_short_is_fatal_also_where_a_file_has_another(config):
    """P094."""
    config.write_text("jwt_secret: long enough to be used\n")
    with pytest.raises(SecretError, match="jwt_secret must be at least 16 characters long"):
        of(config, Secret("fifteen letters"))


def test_numbers_and_umlauts_are_texts(config):
    config.write_text("jwt_secret: 1234567890123456\n")
    assert of(config) == "1234567890123456"
    config.write_text("jwt_secret: äöüäöüäö\n")  # bytes count
    assert of(config) == "äöüäöüäö"


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(SecretError, match="No such file or directory"):
        of(tmp_path / "no" / ".prunner.yml")


def test_two_servers_that_start_at_once_have_one_secret(config):
    code = (
        "import sys; from pathlib import Path; from paas_pipelines.server.dynamic_config import secret_of;"
        "from paas_pipelines.server.settings import Settings;"
        "sys.stdin.readline(); print(secret_of(Settings(config=Path(sys.argv[1]))).reveal())"
    )
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", code, config],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "pipelines")},
        )
        for _ in range(3)
    ]
    said = set()
    for each in programs:
        each.stdin.write("\n")
        each.stdin.flush()
    for each in programs:
        out, _ = each.communicate(timeout=60)
        said.add(out.splitlines()[-1])
    assert len(said) == 1
