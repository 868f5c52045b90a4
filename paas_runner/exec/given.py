"""Variables that a person gives: in files (dotenv, or YAML), by `-e`, out of the shell's environment."""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml

from paas_runner.errors import UsageError
from paas_runner.job.variables import Variable

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DOTENV = re.compile(rf"(?:export\s+)?({_NAME.pattern})\s*=\s*(.*?)\s*")


def given_variables(
    files: Iterable[Path], pairs: Iterable[str], secrets: Iterable[str]
) -> tuple[Variable, ...]:
    """The last of a name counts; raises `UsageError`."""
    found = {variable.key: variable for path in files for variable in _of_file(path)}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not _NAME.fullmatch(key) or not equals:
            raise UsageError(f"-e wants NAME=VALUE: `{key}`")
        found[key] = Variable(key=key, value=value, public=True)
    for key in secrets:
        if not _NAME.fullmatch(key) or not os.environ.get(key):
            raise UsageError(f"--secret wants the name of a variable that is set in this shell: `{key}`")
        if os.environ[key].encode(errors="replace").decode() != os.environ[key]:
            raise UsageError(f"--secret {key}: its value is no UTF-8, and could not be masked in the log")
        found[key] = Variable(key=key, value=os.environ[key], masked=True, raw=True)
    return tuple(found.values())


def _dotenv(text: str, where: str) -> Iterator[Variable]:
    """`NAME=value` a line; quotes around a value are removed."""
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _DOTENV.fullmatch(line.strip())
        if found is None:
            raise UsageError(f"{where}:{number}: NAME=VALUE was expected")
        value = found[2]
        quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
        yield Variable(key=found[1], value=value[1:-1] if quoted else value, public=True)


def _of_file(path: Path) -> Iterator[Variable]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        is_yaml = path.suffix in (".yml", ".yaml")
        document = yaml.load(text, Loader=yaml.BaseLoader) if is_yaml else None  # noqa: S506 - texts alone
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:  # its words may quote a secret
        raise UsageError(f"{path}: it cannot be read: {type(error).__name__}") from None
    if not is_yaml:
        yield from _dotenv(text, str(path))
        return
    if not isinstance(document, dict):
        raise UsageError(f"{path}: a mapping of variables was expected")
    for key, entry in document.items():
        options = entry if isinstance(entry, dict) else {"value": entry}
        value, masked = options.get("value"), options.get("masked") == "true"
        if not _NAME.fullmatch(key) or not isinstance(value, str):
            raise UsageError(f"{path}: `{key}` wants a name of letters, and a text")
        is_file = options.get("type") == "file"
        yield Variable(key=key, value=value, masked=masked, public=not masked, file=is_file, raw=masked)
