"""The walls of the house stand: rooms know only what lies below them, and no module is a giant or a dwarf."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DISTRIBUTIONS = ("plans", "pipelines", "workflows")
PACKAGES = ("paas_runner", "executors", "register", *(f"{name}/paas_{name}" for name in DISTRIBUTIONS))
LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")
MOST_LINES, FEWEST_LINES = 400, 40
ENTRY_POINTS = ("__init__.py", "__main__.py")
KNOWN_BY_EVERY_ROOM = (
    "paas_runner/secret.py",
    "plans/paas_plans/ids.py",
    "plans/paas_plans/secret.py",
    "paas_pipelines/api/served.py",
    "paas_pipelines/runs/retention.py",
    "paas_pipelines/server/settings.py",
    "paas_pipelines/store/journal.py",
)


def modules():
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def line_counts():
    return {str(path.relative_to(ROOT)): path.read_text().count("\n") for path in modules()}


def test_no_module_has_grown_beyond_one_subject():
    assert {path: lines for path, lines in line_counts().items() if lines > MOST_LINES} == {}


def test_no_module_is_so_small_that_its_reader_would_be_a_better_home():
    small = {path: lines for path, lines in line_counts().items() if lines < FEWEST_LINES}
    allowed = (*ENTRY_POINTS, *KNOWN_BY_EVERY_ROOM)
    assert {path: lines for path, lines in small.items() if not path.endswith(allowed)} == {}


@pytest.fixture
def house(tmp_path):
    """A copy of the packages and their contracts, to plant something in."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def contracts(folder):
    """Whether all contracts hold, and what is said of them."""
    done = subprocess.run(
        [LINT_IMPORTS, "--no-cache"],
        cwd=folder,
        env=os.environ
        | {"PYTHONPATH": ":".join(map(str, [folder, *(folder / name for name in DISTRIBUTIONS)]))},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        timeout=100,
    )
    return done.returncode == 0, done.stdout


def test_the_contracts_hold(house):
    kept, said = contracts(house)
    assert kept, said


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("paas_runner/loop/heartbeat.py", "from paas_runner.dispatch import registry", "point one way"),
        ("paas_runner/secret.py", "from paas_runner.logs import redactor", "point one way"),
        ("paas_runner/service/reload.py", "import httpx", "One room speaks httpx"),
        ("executors/clever/catalogue.py", "import httpx", "One room speaks httpx"),
        ("executors/local_docker/executor.py", "import docker", "One room speaks to Docker engines"),
        ("paas_runner/job/tracked.py", "import asyncio", "domain is pure"),
        ("paas_runner/dispatch/effects.py", "from executors import clever", "entry points"),
        ("plans/paas_plans/plan.py", "from paas_runner import secret", "Plans stand alone"),
        ("plans/paas_plans/machine/moves.py", "import asyncio", "machine of plans is pure"),
        ("plans/paas_plans/stores/sqlite.py", "import psycopg", "One store of plans"),
        ("pipelines/paas_pipelines/runs/engine.py", "import asyncio", "Runs of pipelines are pure"),
        ("pipelines/paas_pipelines/runs/book.py", "from paas_pipelines import store", "Pipelines: arrows"),
        ("workflows/paas_workflows/machine/ids.py", "import time", "Workflows are decided purely"),
        ("workflows/paas_workflows/machine/ids.py", "from paas_workflows import store", "Workflows: arrows"),
        ("paas_runner/server/api.py", "import paas_pipelines", "Nobody needs the pipelines server"),
        ("paas_runner/container.py", "import paas_workflows", "Nobody needs the pipelines server"),
    ],
)
def test_an_arrow_where_none_may_be_is_seen(house, module, line, contract):
    path = house / module
    path.write_text(f"{path.read_text()}\n{line}\n")
    kept, said = contracts(house)
    broken = [row for row in said.splitlines() if " BROKEN" in row]
    assert not kept
    assert any(contract in row for row in broken), said


def test_a_room_without_a_place_in_the_contracts_is_seen(house):
    (house / "paas_runner/attic").mkdir()
    (house / "paas_runner/attic/__init__.py").write_text('"""Where everything goes."""\n')
    kept, said = contracts(house)
    assert not kept
    assert "attic" in said
