"""From `config.toml` to `Config`, or to everything that is wrong with it.

`load` reads all of it. `state_path` reads one key of a file that may be wrong in every other respect: a
command that asks the running service needs nothing else, neither the secrets, which may be readable for the
service alone, nor that all of it is right, which the service decides.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from paas_runner.config import dialect
from paas_runner.config.complaints import Complaint, ConfigError, Findings, by_line
from paas_runner.config.inline_tables import as_read_here
from paas_runner.config.lines import dotted, repeated_on
from paas_runner.config.model import STATE_FILE, Config, installation_path, store_path
from paas_runner.config.notify import read_receivers
from paas_runner.config.reader import Reader
from paas_runner.config.runner import Runner
from paas_runner.config.secret_references import Surroundings, exposed
from paas_runner.config.sections import (
    Executors,
    Section,
    check_tables,
    find_contradictions,
    note_what_is_in_vain,
    read_sections,
    with_secrets_file,
)
from paas_runner.config.spelling import spelled
from paas_runner.database_url import StorePlace
from paas_runner.setting_types import SCALARS, UnfitError
from paas_runner.settings import keys_of

_POSITION = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", re.DOTALL)
_TWICE = ("Cannot declare", "Cannot mutate immutable namespace", "Cannot overwrite a value")
_ZERO_IS_DEFAULT = ("check_interval", "shutdown_timeout")
_KNOWN_KEYS = (
    keys_of(Config)
    | dialect.ALIASES[Config].keys()
    | dialect.GLOBAL_KEYS
    | {"runners", "notify", "pipelines", dialect.SECRETS_FILE_KEY}
)


def load(
    path: Path,
    *,
    environ: Mapping[str, str],
    executors: Executors,
    text: str | None = None,
    local_url: str | None = None,
) -> Config:
    """Read a configuration file; raises `ConfigError` with all that is wrong, before anything is started.

    With a `text` that is read, as if the file had it. Whoever serves jobs of its own process gives their
    `local_url`; without one no section may ask for them.
    """
    text = as_read_here(text_of(path) if text is None else text)
    findings = Findings()
    document = dialect.as_read_there(spelled(document_of(path, text), (), _KNOWN_KEYS, findings))
    folder = path.absolute().parent
    reader = Reader(
        findings=findings,
        around=Surroundings(environ=environ, folder=folder, local_url=local_url),
        aliases=dialect.ALIASES,
    )
    reader = with_secrets_file(document, (), reader)
    values = _global_values(document, reader)
    sections = read_sections(document, reader, executors)
    find_contradictions(values, sections, findings, executors)
    receivers = read_receivers(document, reader, _names(sections))
    _check_state_file(values.get("state_file"), path, findings)
    if findings.faults:
        raise ConfigError(fault.located(path, text) for fault in findings.faults)
    values.setdefault("state_file", default_state_file(environ, folder))
    warnings = [warning.located(path, text) for warning in findings.warnings]
    if findings.literal_secrets and (danger := exposed(path)):
        warnings.append(Complaint(path=path, found=f"has secrets in it, and {danger}"))
    return Config(
        path=path,
        runners=tuple(Runner(**section.values) for section in sections),
        warnings=tuple(map(str, by_line(warnings))),
        notify=receivers,
        **values,
    )


def _names(sections: Iterable[Section]) -> Sequence[str]:
    """Those of the runners that have one."""
    return [name for section in sections if (name := section.values.get("name"))]


def text_of(path: Path) -> str:
    """What a file of the configuration says; raises `ConfigError`."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        found = f"cannot be read: {error.strerror}"
        raise ConfigError([Complaint(path=path, found=found)]) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError([Complaint(path=path, line=line, found="not UTF-8 text")]) from None


def document_of(path: Path, text: str) -> dict[str, Any]:
    """The document; the parser's own exception is not kept, since it may hold the text with its secrets.

    Raises `ConfigError`.
    """
    try:
        return tomllib.loads(text)
    except RecursionError:
        complaint = Complaint(path=path, found="nested too deeply")
    except ValueError as error:
        complaint = _syntax_complaint(path, text, str(error))
    raise ConfigError([complaint])


def _syntax_complaint(path: Path, text: str, message: str) -> Complaint:
    position = _POSITION.fullmatch(message)
    if position is None:  # the one error that comes from below the parser
        return Complaint(path=path, found="not valid TOML: a number of too many digits")
    what, number, column = position.groups()
    line = int(number or text.rstrip("\n").count("\n") + 1)
    if what.startswith(_TWICE) and (repeated := repeated_on(text, line)):
        at, first = repeated
        found = f"is there already, on line {first}"
        return Complaint(path=path, line=line, key=dotted(at), found=found, hint="keep one")
    place = f"column {column}" if number else "the end of the file"
    return Complaint(path=path, line=line, found=f"not valid TOML: {what} at {place}")


def _global_values(document: Mapping[str, Any], reader: Reader) -> dict[str, Any]:
    values = reader.values(Config, document, ())
    check_tables(document, (), dialect.GLOBAL_TABLES, reader)
    note_what_is_in_vain(document, (), Config, reader)
    reader.refuse_unknown(document, (), _KNOWN_KEYS)
    for name in _ZERO_IS_DEFAULT:
        if (values.get(name) or timedelta()) <= timedelta():
            values.pop(name, None)
    return values


def _check_state_file(state: Path | None, config: Path, findings: Findings) -> None:
    """What stands beside it has names of its own, and no two files may have the same."""
    if state is None:
        return
    if state in (beside := (store_path(state), installation_path(state))):
        found = f"ends in {state.suffix}, as a file beside it does"
        findings.wrong(("state_file",), found, hint="give it another ending, .json say")
    elif config.absolute() in (state, *beside):
        findings.wrong(("state_file",), "it, or a file beside it, is this configuration")


def default_state_file(environ: Mapping[str, str], folder: Path) -> Path:
    """In the first folder that systemd made for our state, else beside the configuration."""
    return folder / environ.get("STATE_DIRECTORY", "").split(":")[0] / STATE_FILE


def state_path(path: Path, environ: Mapping[str, str]) -> Path:
    """`state_file`, or its default where the file does not say; raises `ConfigError` without the file."""
    folder, document = path.absolute().parent, _read_anyway(path)
    try:
        return Path(SCALARS[Path].read(document["state_file"], Surroundings(environ=environ, folder=folder)))
    except (KeyError, UnfitError):
        return default_state_file(environ, folder)


def store_place(path: Path, environ: Mapping[str, str], executors: Executors) -> StorePlace:
    """Where the records are; for a database the whole file has to be right. Raises `ConfigError`."""
    if "state_store" in _read_anyway(path):
        return load(path, environ=environ, executors=executors).store
    return store_path(state_path(path, environ))


def _read_anyway(path: Path) -> Mapping[str, Any]:
    """The keys of the file, none where it is no TOML."""
    try:
        document = tomllib.loads(as_read_here(path.read_bytes().decode("utf-8-sig")))
    except OSError as error:
        raise ConfigError([Complaint(path=path, found=f"cannot be read: {error.strerror}")]) from error
    except (ValueError, RecursionError):
        document = {}
    return spelled(document, (), _KNOWN_KEYS, Findings())
