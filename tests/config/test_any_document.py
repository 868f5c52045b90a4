"""Whatever a file holds, it gives a configuration or a list of complaints, and never another exception."""

import json
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paas_runner.config import Config, ConfigError, load
from paas_runner.config.dialect import ALIASES, FORWARDED_KEYS, GLOBAL_KEYS, OUTER_KEYS, WITHOUT_EFFECT
from paas_runner.config.model import QuotaComputation
from paas_runner.config.runner import JobTraceWatch, Runner
from paas_runner.executor.contract import ExecutorKind
from paas_runner.settings import keys_of

CANARY = "CANARY31415926"
SECRETS = ("token", "cc_token")
VALID = f"""
concurrent = 3
[quota_computation]
  reference_runner = "one"
  reference_flavor = "M"
  reference_jobs_count = 2
[[runners]]
  name = "one"
  url = "https://gitlab.example"
  token = "{CANARY}"
  executor = "clever-docker"
  cc_orga_id = "orga_1"
  cc_token = "{CANARY}"
  environment = [
    "A=1",
  ]
  [runners.docker]
    image = '''
debian'''
"""

Load = Callable[[bytes], Config | str]


@pytest.fixture(scope="module")
def attempt(
    tmp_path_factory: pytest.TempPathFactory, executors: Mapping[str, Callable[[], ExecutorKind]]
) -> Load:
    """The configuration, or the text of the complaints."""
    path: Path = tmp_path_factory.mktemp("any") / "config.toml"

    def try_it(content: bytes) -> Config | str:
        path.write_bytes(content)
        try:
            return load(path, environ={"HOST": "gitlab.example"}, executors=executors)
        except ConfigError as error:
            lines = str(error).splitlines()
            return str(error) if len(lines) == len(error.complaints) > 0 else pytest.fail("not one line each")

    return try_it


def toml(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case list():
            return f"[{', '.join(map(toml, value))}]"
        case dict():
            return f"{{{', '.join(f'{toml(key)} = {toml(each)}' for key, each in value.items())}}}"
        case date() | datetime() | time():
            return value.isoformat()
        case _:
            return repr(value)


def tables(document: Mapping[str, Any]) -> str:
    lines = [f"{toml(key)} = {toml(value)}" for key, value in document.items() if key != "runners"]
    for section in document.get("runners", []):
        lines += ["", "[[runners]]", *(f"{toml(key)} = {toml(value)}" for key, value in section.items())]
    return "\n".join(lines)


scalars = (
    st.text(max_size=8)
    | st.sampled_from(
        ["clever-docker", "https://$HOST", "$UNSET", "one", "secret:x", "1h30m", "\0", "x" * 5000]
    )
    | st.integers()
    | st.floats()
    | st.booleans()
    | st.dates()
    | st.datetimes()
    | st.times()
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
odd_keys = st.text(max_size=6)


def some(keys: set[str], inner: st.SearchStrategy[Any] = values) -> st.SearchStrategy[dict[str, Any]]:
    names = st.sampled_from(sorted(keys)) | odd_keys
    return st.just({}) | st.dictionaries(names, inner, max_size=1) | st.dictionaries(names, inner, max_size=4)


quotas = some(set(keys_of(QuotaComputation)))
watches = some({*keys_of(JobTraceWatch), *ALIASES[JobTraceWatch]})
bases = st.fixed_dictionaries(
    {
        "url": st.just("https://$HOST"),
        "token": st.just(CANARY),
        "executor": st.just("clever-docker"),
        "cc_orga_id": st.just("orga"),
        "cc_token": st.just(CANARY) | st.just("$HOST"),
    },
    optional={"paas_job_trace_watch": watches},
)
runner_keys = {*keys_of(Runner), *ALIASES[Runner], *FORWARDED_KEYS, *OUTER_KEYS, *WITHOUT_EFFECT}
runner_keys |= {"cc_extra_env", "cc_multi_tenant", "cc_deployment_repo_timeout", "secrets_file"}
sections = st.builds(lambda base, more: base | more, bases, some(runner_keys - set(SECRETS)))
global_keys = {*keys_of(Config), *ALIASES[Config], *GLOBAL_KEYS, "secrets_file"}
documents = st.builds(
    lambda top, more, runners: top | more | runners,
    some(global_keys),
    st.fixed_dictionaries({}, optional={"quota_computation": quotas | values}),
    st.fixed_dictionaries({"runners": st.lists(sections, max_size=3)}),
)


@given(document=documents)
def test_a_document_of_nearly_the_right_shape(document: dict[str, Any], attempt: Load) -> None:
    result = attempt(tables(document).encode())

    assert isinstance(result, Config) or CANARY not in result


@given(document=some({*global_keys, "runners"}))
def test_a_document_of_any_shape(document: dict[str, Any], attempt: Load) -> None:
    text = "\n".join(f"{toml(key)} = {toml(value)}" for key, value in document.items())

    attempt(text.encode())


@given(start=st.integers(0, len(VALID)), length=st.integers(0, 40), noise=st.text(max_size=4))
def test_a_valid_document_with_a_piece_replaced(start: int, length: int, noise: str, attempt: Load) -> None:
    attempt((VALID[:start] + noise + VALID[start + length :]).encode())


@given(content=st.binary(max_size=60))
def test_any_bytes(content: bytes, attempt: Load) -> None:
    attempt(content)


def test_the_untouched_document_is_valid(attempt: Load) -> None:
    assert isinstance(attempt(VALID.encode()), Config)
