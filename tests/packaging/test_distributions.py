"""Wheel and sdist, as they would be uploaded."""

import configparser
import email
import itertools
import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile

import pytest
from packaging.metadata import Metadata
from packaging.requirements import Requirement
from packaging.utils import parse_sdist_filename, parse_wheel_filename

import paas_runner

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]


@pytest.fixture(scope="session")
def project(sources):
    return tomllib.loads((sources / "pyproject.toml").read_text())


@pytest.fixture(scope="session")
def built(sources, tmp_path_factory):
    """The wheel comes out of the sdist, so that nothing is missing there."""
    folder = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--outdir", folder, sources],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout
    return folder


@pytest.fixture(scope="session")
def wheel(built):
    [wheel] = built.glob("*.whl")
    return wheel


@pytest.fixture(scope="session")
def in_wheel(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="session")
def in_sdist(built):
    [sdist] = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


def dist_info(in_wheel, name):
    [content] = [content for path, content in in_wheel.items() if path.endswith(f".dist-info/{name}")]
    return content.decode()


def test_both_are_of_this_version_and_the_wheel_fits_every_machine(built, wheel):
    name, version, _, tags = parse_wheel_filename(wheel.name)
    [sdist] = built.glob("*.tar.gz")
    assert (name, version) == parse_sdist_filename(sdist.name)
    assert str(version) == paas_runner.__version__
    assert {str(tag) for tag in tags} == {"py3-none-any"}


def test_the_wheel_has_every_file_of_the_packages_and_nothing_else(in_wheel, project, sources):
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    files = [path for name in packages for path in (sources / name).rglob("*") if path.is_file()]
    expected = {str(path.relative_to(sources)) for path in files}
    assert {"paas_runner/py.typed", "register/__init__.py"} <= expected
    assert {name for name in in_wheel if ".dist-info/" not in name} == expected
    assert "Apache License" in dist_info(in_wheel, "licenses/LICENSE")


def test_the_metadata_is_valid_and_says_what_the_project_says(in_wheel, project):
    text = dist_info(in_wheel, "METADATA")
    metadata = Metadata.from_email(text, validate=True)
    declared = project["project"]
    assert (metadata.name, metadata.summary) == (declared["name"], declared["description"])
    assert str(metadata.requires_python) == declared["requires-python"]
    assert metadata.license_expression == declared["license"]
    assert metadata.description_content_type == "text/markdown"
    assert metadata.description.startswith("# ")
    assert {"demo", "dev"} <= set(metadata.provides_extra)
    without_extra = {str(wanted) for wanted in metadata.requires_dist if not wanted.marker}
    assert without_extra == {str(Requirement(wanted)) for wanted in declared["dependencies"]}
    assert not email.message_from_string(text).defects


def test_every_entry_point_can_be_loaded_from_the_wheel(in_wheel, wheel, project):
    points = configparser.ConfigParser(delimiters="=")
    points.read_string(dist_info(in_wheel, "entry_points.txt"))
    declared = {"console_scripts": project["project"]["scripts"], **project["project"]["entry-points"]}
    assert {group: dict(points[group]) for group in points.sections()} == declared
    for target in itertools.chain.from_iterable(named.values() for named in declared.values()):
        module, _, attribute = target.partition(":")
        program = f"import {module} as it; print(it.__file__, it.{attribute})"
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=wheel.parent,
            env=os.environ | {"PYTHONPATH": str(wheel)},
            text=True,
            capture_output=True,
            check=False,
        )
        assert done.stdout.startswith(str(wheel)), (target, done.stderr)


def test_the_sdist_is_the_whole_project_and_nothing_that_was_made_from_it(in_sdist):
    assert {
        *("LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml", "Makefile", "PKG-INFO"),
        *("docs/architecture.md", "tests/conftest.py", "packaging/debian/build.py"),
        *("packaging/inner/build.py", "packaging/inner/pyproject.toml.in"),
        "systemd/heptapod-paas-runner.service",
    } <= in_sdist
    made = (".venv", ".git/", "__pycache__", "_cache/", ".hypothesis", "dist/", ".deb", ".whl")
    assert not [name for name in in_sdist if any(mark in name for mark in made)]
