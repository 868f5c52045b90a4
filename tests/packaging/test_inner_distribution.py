"""The distribution of the inner runner alone: what is in it, and that it works by itself."""

import asyncio
import email
import importlib.util
import subprocess
import sys
import zipfile
from pathlib import Path

import attrs
import pytest

import paas_runner
from paas_runner.inner import InnerRunnerError
from paas_runner.inner.cli import check_alone
from tests.support.hosts import script
from tests.support.inner_program import machine_in

ROOT = Path(__file__).parents[2]
LOAD_THE_ROOM = """
import importlib, pkgutil, sys
import paas_runner.helper, paas_runner.inner
for room in (paas_runner.helper, paas_runner.inner):
    for found in pkgutil.walk_packages(room.__path__, f"{room.__name__}."):
        if not found.name.endswith(".__main__"):
            importlib.import_module(found.name)
print(*(name for name in sys.modules if name.partition(".")[0] == "paas_runner"))
"""

long = pytest.mark.long
slow = pytest.mark.timeout(300)


def program(name):
    """A module of packaging/inner, which is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "packaging" / "inner" / f"{name}.py")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


closures = program("closure")


@pytest.fixture(scope="module")
def ours():
    return closures.closure(ROOT)


def test_it_is_exactly_what_is_loaded_with_all_of_its_two_rooms(ours):
    loaded = run(sys.executable, "-c", LOAD_THE_ROOM, cwd=ROOT).split()
    assert set(ours.modules) == {*loaded, "paas_runner.inner.__main__"}


def test_it_has_no_room_but_the_domain_and_the_engine_beside_its_own_two(ours):
    rooms = {path.parts[1] for path in ours.files if len(path.parts) > 2}
    assert rooms <= {"helper", "inner", "job", "docker"}
    assert Path("paas_runner/py.typed") in ours.files


def test_it_needs_six_packages_in_the_projects_own_versions_two_of_them_are_httpxs_anyway(ours):
    names = [line.partition(">")[0] for line in ours.requirements]
    assert names == ["attrs", "docker", "h11", "httpx", "idna", "structlog"]


def test_grpc_is_for_those_who_want_it(ours):
    assert [line.partition(">")[0] for line in ours.extras["grpc"]] == ["grpcio"]


@pytest.fixture
def planted(tmp_path):
    """A small tree of the same kind."""

    def plant(files, dependencies="[]"):
        (tmp_path / "pyproject.toml").write_text(f"[project]\ndependencies = {dependencies}\n")
        for path, text in {"__init__": "", "inner/__init__": "", **files}.items():
            file = tmp_path / "paas_runner" / f"{path}.py"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return tmp_path

    return plant


@pytest.mark.parametrize(
    "text",
    [
        "import paas_runner.a.b",
        "from paas_runner.a.b import c",
        "from paas_runner.a import b",
        "def f():\n    from paas_runner.a.b import c",
        'COMMAND = ("python", "-m", "paas_runner.a.b")',
        "from paas_runner.inner import x\n",
    ],
)
def test_whatever_can_be_imported_or_run_is_followed_with_its_packages(planted, text):
    more = {"inner/x": "import paas_runner.a.b", "a/__init__": "", "a/b": "", "a/c": "", "d": ""}
    found = closures.closure(planted({"inner/it": text, **more}))
    expected = ["", ".a", ".a.b", ".inner", ".inner.it", ".inner.x"]
    assert list(found.modules) == [f"paas_runner{name}" for name in expected]


def test_what_only_a_type_checker_reads_is_not_followed(planted):
    text = "if TYPE_CHECKING:\n    from paas_runner.service import app\n    import yaml\n"
    assert "paas_runner.service" not in closures.closure(planted({"inner/it": text, "service": ""})).modules


def test_an_import_that_is_no_dependency_of_the_project_is_refused(planted):
    tree = planted({"inner/it": "import json, yaml"}, '["attrs>=25.3"]')
    with pytest.raises(closures.ClosureError, match=r"`yaml` \(paas_runner.inner.it\)"):
        closures.closure(tree)


def test_both_distributions_in_one_folder_are_refused(tmp_path):
    (tmp_path / "paas_runner-0.1.0.dist-info").mkdir()
    check_alone(tmp_path)
    (tmp_path / "paas_runner_inner-0.1.0.dist-info").mkdir()
    with pytest.raises(InnerRunnerError, match=r"are both installed in .* uninstall both, then install one"):
        check_alone(tmp_path)


@pytest.fixture(scope="session")
def built(sources, tmp_path_factory):
    """What the build prints, line by line."""
    folder = tmp_path_factory.mktemp("inner")
    return run(sys.executable, sources / "packaging/inner/build.py", folder).splitlines()


@pytest.fixture(scope="session")
def wheel(built):
    return Path(built[0])


@pytest.fixture(scope="session")
def alone(wheel, tmp_path_factory):
    """An environment in which nothing but it was installed, with what it needs."""
    folder = tmp_path_factory.mktemp("alone") / "venv"
    run(sys.executable, "-m", "venv", folder)
    run(folder / "bin" / "pip", "install", "--quiet", wheel)
    return folder / "bin"


@long
@slow
def test_the_wheel_has_the_closure_and_nothing_else(wheel, ours):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        [metadata] = [archive.read(name).decode() for name in names if name.endswith("/METADATA")]
        [points] = [archive.read(name).decode() for name in names if name.endswith("/entry_points.txt")]
        assert [name for name in names if name.endswith("/licenses/LICENSE")]
    assert {name for name in names if ".dist-info/" not in name} == set(map(str, ours.files))
    declared = email.message_from_string(metadata)
    assert (declared["Name"], declared["Version"]) == ("paas-runner-inner", paas_runner.__version__)
    optional = [f"{line}; extra == 'grpc'" for line in ours.extras["grpc"]]
    assert sorted(declared.get_all("Requires-Dist")) == sorted([*ours.requirements, *optional])
    assert "never both in one environment" in metadata
    assert points.strip() == "[console_scripts]\npaas-runner-inner = paas_runner.inner.cli:main"


@long
@slow
def test_the_build_says_how_much_it_is(built, ours):
    lines = sum((ROOT / path).read_text().count("\n") for path in ours.files)
    size = sum((ROOT / path).stat().st_size for path in ours.files)
    assert built[1].startswith(f"{len(ours.modules)} modules, {lines} lines, {size} bytes; needs attrs>=")


@long
@slow
async def test_installed_alone_it_runs_a_real_job(alone, tmp_path):
    program = alone / "paas-runner-inner"
    assert "exec-fetched-job" in await asyncio.to_thread(run, program, "--help")
    async with machine_in(tmp_path) as ours:
        machine = attrs.evolve(ours, program=(str(program),))
        async with machine.running(script("echo hello from $CI_PROJECT_DIR")) as (job, process):
            assert await process.wait() == 0
        assert job.status == "success"
        assert b"hello from /" in job.trace


@long
@slow
def test_the_service_is_not_there(alone):
    program = "import importlib.util as found; print(found.find_spec('paas_runner.cli'))"
    assert run(alone / "python", "-I", "-c", program) == "None\n"


@long
@slow
def test_beside_the_service_it_refuses_to_run(alone, wheel, sources, tmp_path):
    run(sys.executable, "-m", "pip", "--quiet", "wheel", "--no-deps", "--wheel-dir", tmp_path, sources)
    [service] = tmp_path.glob("*.whl")
    both = tmp_path / "both"
    run(alone / "pip", "install", "--quiet", "--no-deps", "--target", both, wheel, service)
    begin = f"import sys; sys.path.insert(0, {str(both)!r})"
    code = f"{begin}; from paas_runner.inner.cli import main; sys.exit(main())"
    done = subprocess.run(
        [alone / "python", "-I", "-c", code, "exec-fetched-job", "--config", "absent", "absent"],
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 78
    assert "paas-runner and paas-runner-inner are both installed in" in done.stderr


def run(*command, cwd=None):
    done = subprocess.run(command, text=True, capture_output=True, check=False, timeout=240, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
