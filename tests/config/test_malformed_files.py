"""Each file in `malformed/` begins with the complaints that are expected about it, to the letter."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from paas_runner.config import ConfigError, load
from paas_runner.executor.contract import ExecutorKind

FILES = sorted((Path(__file__).parent / "malformed").glob("*.toml"))
EXPECT = "# expect: "


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_exactly_the_expected_complaints_are_made(
    path: Path, executors: Mapping[str, Callable[[], ExecutorKind]]
) -> None:
    head = path.read_text(errors="replace").splitlines()
    expected = [line.removeprefix(EXPECT) for line in head if line.startswith(EXPECT)]

    with pytest.raises(ConfigError) as caught:
        load(path, environ={"EMPTY": ""}, executors=executors)

    assert [line.removeprefix(f"{path.parent}/") for line in str(caught.value).split("\n")] == expected
    assert len(caught.value.complaints) == len(expected)


def test_there_are_many_malformed_files() -> None:
    assert len(FILES) >= 24
