"""The executor that these tests configure, and files to load."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest

from paas_runner.config import Config, load
from paas_runner.executor.contract import Executor, ExecutorKind, RunnerSection, installed


@attrs.frozen(kw_only=True)
class Kind:
    settings: type[Any]

    def build(self, settings: Any, section: RunnerSection, connect: Any) -> Executor:
        raise NotImplementedError


@pytest.fixture(scope="session")
def executors() -> Mapping[str, Callable[[], ExecutorKind]]:
    return installed()


@pytest.fixture(scope="session")
def make_kind() -> Callable[[type[Any]], ExecutorKind]:
    return lambda settings: Kind(settings=settings)


@pytest.fixture
def load_text(tmp_path: Path, executors: Mapping[str, Callable[[], ExecutorKind]]) -> Callable[..., Config]:
    def load_it(text: str, environ: Mapping[str, str] | None = None, **more: Any) -> Config:
        path = tmp_path / "config.toml"
        path.touch(mode=0o600)
        path.write_text(text)
        return load(path, environ=environ or {}, executors=executors | more)

    return load_it
