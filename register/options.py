"""Arguments and environment variables of registration, with the names of 1.1.1 and of GitLab Runner."""

import argparse
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from paas_runner.errors import UsageError
from paas_runner.secret import Secret


@attrs.frozen(kw_only=True)
class Options:
    """What was given, by argument or variable; None where nothing was."""

    config: Path
    name: str | None
    url: str | None
    token: Secret | None = None
    registration_token: Secret | None = None
    executor: str | None
    description: str | None
    tags: tuple[str, ...] | None
    run_untagged: bool | None
    locked: bool | None
    paused: bool | None
    access_level: str | None
    maximum_timeout: int | None
    maintenance_note: str | None
    template: Path | None
    settings: Mapping[str, Any]
    """Keys of the section by their dotted name, of `--set`."""

    secrets_file: Path | None
    concurrent: str | None
    state_file: str | None
    non_interactive: bool
    environ: Mapping[str, str] = attrs.field(repr=False)

    @property
    def set_at_coordinator(self) -> tuple[str, ...]:
        """Options that mean something only for a runner that is registered now."""
        given = {
            "--tag-list": self.tags,
            "--run-untagged": self.run_untagged,
            "--locked": self.locked,
            "--paused": self.paused,
            "--access-level": self.access_level,
            "--maximum-timeout": self.maximum_timeout,
            "--maintenance-note": self.maintenance_note,
            "--description": self.description,
        }
        return tuple(option for option, value in given.items() if value is not None)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare all arguments."""
    parser.add_argument("config", type=Path, metavar="CONFIG", help="the configuration file to write into")
    for flags, variable, text, more in _ARGUMENTS:
        parser.add_argument(*flags, help=text + (f" [${variable}]" if variable else ""), **more)
        if more == _FLAG:
            _add_spelled_out(parser, flags[-1])
    parser.add_argument(
        "--set",
        dest="settings",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="a key of the section, as TOML or text; may be repeated (limit=4, docker.image=debian:12)",
    )
    parser.add_argument(
        "-l", "--logging-level", metavar="LEVEL", type=str.lower, default="error", help="log at this level"
    )


def read(arguments: argparse.Namespace, environ: Mapping[str, str]) -> Options:
    """The options; an argument comes before its variable. Raises `UsageError`."""
    given = {
        flags[-1].removeprefix("--").replace("-", "_"): _given(arguments, flags[-1], variable, environ)
        for flags, variable, *_ in _ARGUMENTS
    }
    timeout = given["maximum_timeout"]
    if timeout is not None and not timeout.isdecimal():
        raise UsageError("--maximum-timeout: a whole number of seconds was expected")
    return Options(
        config=arguments.config,
        name=given["name"],
        url=given["coordinator_url"],
        token=_secret(given["token"]),
        registration_token=_secret(given["registration_token"]),
        executor=given["executor"],
        description=given["description"],
        tags=None if given["tag_list"] is None else tags_in(given["tag_list"]),
        run_untagged=_flag("--run-untagged", given["run_untagged"]),
        locked=_flag("--locked", given["locked"]),
        paused=_flag("--paused", given["paused"]),
        access_level=given["access_level"],
        maximum_timeout=int(timeout) if timeout else None,
        maintenance_note=given["maintenance_note"],
        template=Path(given["template_config"]) if given["template_config"] else None,
        settings=_files(given) | dict(map(_setting, arguments.settings)),
        secrets_file=Path(given["secrets_file"]).absolute() if given["secrets_file"] else None,
        concurrent=given["max_concurrency"],
        state_file=given["state_file_path"],
        non_interactive=bool(_flag("--non-interactive", given["non_interactive"])),
        environ=environ,
    )


def yes_or_no(text: str) -> bool | None:
    """What a person or a script means; None if it is neither."""
    return {word: value for value, words in _WORDS.items() for word in words}.get(text.strip().lower())


def tags_in(text: str) -> tuple[str, ...]:
    """The tags, with commas between them."""
    return tuple(tag for part in text.split(",") if (tag := part.strip()))


def toml_value(text: str) -> Any:
    """What `text` is as a value in TOML; itself when it is none."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


_WORDS = {True: ("yes", "y", "true", "1", "on"), False: ("no", "n", "false", "0", "off")}
_FLAG = {"action": "store_const", "const": "true"}

_ARGUMENTS: tuple[tuple[tuple[str, ...], str, str, dict[str, Any]], ...] = (
    (("--name",), "RUNNER_NAME", "the runner's name in CONFIG", {}),
    (
        ("-c", "-u", "--url", "--coordinator-url"),
        "CI_SERVER_URL",
        "base address of the GitLab or Heptapod instance",
        {"dest": "coordinator_url"},
    ),
    (("--token",), "CI_SERVER_TOKEN", "authentication token of a runner created there (glrt-…)", {}),
    (
        ("-t", "--registration-token"),
        "REGISTRATION_TOKEN",
        "registration token, from the settings of the instance, a group or a project",
        {},
    ),
    (("-e", "--executor"), "RUNNER_EXECUTOR", "where jobs run", {}),
    (("--description",), "", "what the coordinator shows (default: the name)", {}),
    (("--tag-list",), "RUNNER_TAG_LIST", "tags, with commas between them", {}),
    (
        ("--run-untagged",),
        "REGISTER_RUN_UNTAGGED",
        "take jobs without tags (default: if there are no tags)",
        _FLAG,
    ),
    (("--locked",), "REGISTER_LOCKED", "for this project alone (default; --locked=false for all)", _FLAG),
    (("--paused",), "REGISTER_PAUSED", "take no jobs before it is resumed there", _FLAG),
    (
        ("--access-level",),
        "REGISTER_ACCESS_LEVEL",
        "jobs of which branches",
        {"choices": ("not_protected", "ref_protected")},
    ),
    (
        ("--maximum-timeout",),
        "REGISTER_MAXIMUM_TIMEOUT",
        "how long a job may take at most, 600 or more",
        {"metavar": "SECONDS"},
    ),
    (("--maintenance-note",), "REGISTER_MAINTENANCE_NOTE", "a note for other administrators", {}),
    (
        ("--template-config",),
        "TEMPLATE_CONFIG_FILE",
        "a file with one [[runners]] section to begin with",
        {"metavar": "FILE"},
    ),
    (
        ("--secrets-file",),
        "",
        "write secrets into this file instead of into CONFIG",
        {"metavar": "FILE"},
    ),
    (("--max-concurrency",), "", "for a new file: jobs at once over all runners", {}),
    (("--state-file-path",), "", "for a new file: where running jobs are remembered", {}),
    (("--tls-ca-file",), "CI_SERVER_TLS_CA_FILE", "certificates to trust", {"metavar": "FILE"}),
    (("--tls-cert-file",), "CI_SERVER_TLS_CERT_FILE", "our certificate", {"metavar": "FILE"}),
    (("--tls-key-file",), "CI_SERVER_TLS_KEY_FILE", "its private key", {"metavar": "FILE"}),
    (("-n", "--non-interactive"), "REGISTER_NON_INTERACTIVE", "ask nothing", _FLAG),
)


def _add_spelled_out(parser: argparse.ArgumentParser, flag: str) -> None:
    """`--locked=false`, as GitLab Runner takes it; with an optional value, CONFIG could be taken for one."""
    for value in ("true", "false"):
        parser.add_argument(
            f"{flag}={value}",
            dest=flag.removeprefix("--").replace("-", "_"),
            action="store_const",
            const=value,
            help=argparse.SUPPRESS,
        )


def _given(
    arguments: argparse.Namespace, option: str, variable: str, environ: Mapping[str, str]
) -> str | None:
    value: str | None = getattr(arguments, option.removeprefix("--").replace("-", "_"))
    if value is None and variable:
        return environ.get(variable) or None
    return value


def _secret(value: str | None) -> Secret | None:
    return Secret(value) if value else None


def _flag(option: str, value: str | None) -> bool | None:
    if value is None:
        return None
    found = yes_or_no(value)
    if found is None:
        raise UsageError(f"{option}: true or false was expected")
    return found


def _files(given: Mapping[str, str | None]) -> dict[str, Any]:
    """The certificates, as the configuration has them."""
    names = ("tls_ca_file", "tls_cert_file", "tls_key_file")
    return {name.replace("_", "-"): str(Path(path).absolute()) for name in names if (path := given[name])}


def _setting(text: str) -> tuple[str, Any]:
    key, separator, value = text.partition("=")
    if not (key.strip() and separator):
        raise UsageError("--set: KEY=VALUE was expected")
    return key.strip(), toml_value(value.strip())
