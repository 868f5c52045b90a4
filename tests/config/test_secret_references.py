"""Secrets stand in the configuration or elsewhere; what leads nowhere is told, not guessed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from paas_runner.config import Config, ConfigError
from paas_runner.secret import Secret

LoadText = Callable[..., Config]

SECRET = "glrt-canary31415926"


def section(token: str, more: str = "", name: str = "one") -> str:
    return f"""
[[runners]]
  name = "{name}"
  url = "https://gitlab.example"
  token = "{token}"
  executor = "clever-docker"
  cc_orga_id = "orga_1"
  cc_token = "made-up-clever-token"
  {more}
"""


def put(path: Path, text: str, mode: int = 0o600) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.touch()
    path.chmod(mode)
    path.write_text(text)
    return path


@pytest.fixture
def complaint(load_text: LoadText, tmp_path: Path) -> Callable[..., str]:
    """The one complaint about a configuration, its file's path left out; no secret is ever in it."""

    def made(text: str, environ: dict[str, str] | None = None) -> str:
        with pytest.raises(ConfigError) as caught:
            load_text(text, environ)
        [found] = caught.value.complaints
        assert "canary" not in str(found)
        return str(found).replace(f"{tmp_path}/", "")

    return made


def test_a_secret_stands_in_the_secrets_file(load_text: LoadText, tmp_path: Path) -> None:
    put(tmp_path / "secrets.toml", f'gitlab = "{SECRET}"')
    watch = 'paas_job_trace_watch.token = "secret:gitlab"'
    config = load_text('secrets_file = "secrets.toml"' + section("secret:gitlab", watch))
    assert config.runners[0].token == Secret(SECRET)
    assert config.runners[0].paas_job_trace_watch.token == Secret(SECRET)
    assert Secret(SECRET) in list(config.secrets)


def test_a_section_may_have_a_secrets_file_of_its_own(load_text: LoadText, tmp_path: Path) -> None:
    put(tmp_path / "all.toml", 'gitlab = "glrt-first-runner"')
    put(tmp_path / "own.toml", 'gitlab = "glrt-second-runner"')
    second = section("secret:gitlab", 'secrets_file = "own.toml"', name="two")
    config = load_text('secrets_file = "all.toml"' + section("secret:gitlab") + second)
    assert [runner.token.reveal() for runner in config.runners] == ["glrt-first-runner", "glrt-second-runner"]


def test_a_secret_stands_in_the_environment_in_a_file_or_is_a_credential(
    load_text: LoadText, tmp_path: Path
) -> None:
    put(tmp_path / "token", f"{SECRET}\n")
    put(tmp_path / "systemd" / "gitlab", SECRET)
    environ = {"TOKEN": SECRET, "CREDENTIALS_DIRECTORY": str(tmp_path / "systemd")}
    for reference in ("env:TOKEN", "file:token", f"file:{tmp_path}/token", "credential:gitlab"):
        assert load_text(section(reference), environ).runners[0].token == Secret(SECRET), reference


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("secret:canary", "`secret:` needs a `secrets_file`, in this section or globally"),
        ("env:canary", "names an environment variable that is not set"),
        ("env:EMPTY", "what this `env:` leads to is empty"),
        ("file:nowhere", "nowhere is no file"),
        ("credential:gitlab", "`credential:` needs $CREDENTIALS_DIRECTORY, which systemd sets"),
        ("secret: ", "`secret:` is followed by no name"),
    ],
)
def test_what_leads_nowhere_is_told_with_its_line(
    complaint: Callable[..., str], reference: str, said: str
) -> None:
    found = complaint(section(reference), {"EMPTY": ""})
    assert found.startswith("config.toml:5: runners[0].token: ")
    assert said in found


@pytest.mark.parametrize(
    ("reference", "hint"),
    [
        ("env:TOKN", "; did you mean `TOKEN`?"),
        ("$TOKN", "; did you mean `TOKEN`?"),
        ("${TOKN}", "; did you mean `TOKEN`?"),
        ("glrt-canary$TOKN", ""),
        ("$tokEN", ""),
        ("file:keys/tokn", "; did you mean `token`?"),
        ("file:kyes", ""),
        ("file:keys", ""),
    ],
)
def test_what_is_misspelt_is_told_unless_it_may_be_a_part_of_the_secret(
    complaint: Callable[..., str], tmp_path: Path, reference: str, hint: str
) -> None:
    put(tmp_path / "keys" / "token", SECRET)
    found = complaint(section(reference), {"TOKEN": SECRET})
    assert found.endswith((f"is not set{hint}", f"is no file{hint}"))
    assert "TOKN" not in found


def test_a_credential_is_a_plain_name(complaint: Callable[..., str], tmp_path: Path) -> None:
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert "the name of a credential was expected" in complaint(section("credential:../x"), environ)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            "other = 'canary'",
            "config.toml:5: runners[0].token: names a key that is not in secrets.toml; keys there: other",
        ),
        ("gitlab = 31415926", "config.toml:5: runners[0].token: names a key that is no text in secrets.toml"),
        ("gitlab = ''", "config.toml:5: runners[0].token: what this `secret:` leads to is empty"),
    ],
)
def test_what_the_secrets_file_does_not_have_is_told(
    complaint: Callable[..., str], tmp_path: Path, content: str, said: str
) -> None:
    put(tmp_path / "secrets.toml", content)
    assert complaint('secrets_file = "secrets.toml"' + section("secret:gitlab")) == said


@pytest.mark.parametrize(
    ("content", "said"), [("a = = 'canary'", "is not valid TOML (line 1)"), (None, "is no file")]
)
def test_a_secrets_file_that_cannot_be_used_is_told_where_it_is_named(
    complaint: Callable[..., str], tmp_path: Path, content: str | None, said: str
) -> None:
    if content is not None:
        put(tmp_path / "secrets.toml", content)
    found = complaint('secrets_file = "secrets.toml"' + section("glrt-aaaaaaaaaaaa"))
    assert found == f"config.toml:1: secrets_file: secrets.toml {said}"


@pytest.mark.parametrize("reference", ["secret:gitlab", "file:token", "credential:gitlab"])
def test_a_file_that_others_may_read_holds_no_secret(
    complaint: Callable[..., str], tmp_path: Path, reference: str
) -> None:
    put(tmp_path / "token", SECRET, mode=0o644)
    put(tmp_path / "systemd" / "gitlab", SECRET, mode=0o604)
    put(tmp_path / "secrets.toml", f'gitlab = "{SECRET}"', mode=0o602)
    more = 'secrets_file = "secrets.toml"' if reference.startswith("secret") else ""
    text = section(reference, more) if not more else section("glrt-aaaaaaaaaaaa", more)
    found = complaint(text, {"CREDENTIALS_DIRECTORY": str(tmp_path / "systemd")})
    assert "other users may open" in found
    assert "chmod 600" in found


def test_the_group_may_read_a_secrets_file(load_text: LoadText, tmp_path: Path) -> None:
    put(tmp_path / "secrets.toml", f'gitlab = "{SECRET}"', mode=0o640)
    assert load_text('secrets_file = "secrets.toml"' + section("secret:gitlab")).warnings == ()


def test_a_configuration_with_secrets_that_others_may_read_is_warned_about(
    load_text: LoadText, tmp_path: Path
) -> None:
    put(tmp_path / "config.toml", "", mode=0o644)
    [warning] = load_text(section(SECRET)).warnings
    assert "has secrets in it, and other users may open" in warning
    assert "canary" not in warning


def test_a_configuration_without_secrets_may_be_read_by_all(load_text: LoadText, tmp_path: Path) -> None:
    put(tmp_path / "config.toml", "", mode=0o644)
    text = section("env:TOKEN").replace('"made-up-clever-token"', '"$TOKEN"')
    assert load_text(text, {"TOKEN": SECRET}).warnings == ()
