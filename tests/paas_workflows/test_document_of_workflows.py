"""docs/workflows.md, typed as it stands there; and what rows of kog it answers."""

import re
import shutil
import subprocess

import pytest
from paas_workflows.commands.options import add_run_options

from tests.support.site_program import ROOT
from tests.support.workflow_programs import programs

PAGE = (ROOT / "docs" / "workflows.md").read_text()


def block(kind, number=0):
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)[number]


def test_the_example_of_the_page_is_that_of_the_repository():
    """K011."""
    assert block("yaml") == (ROOT / "workflows" / "examples" / "first.yaml").read_text()


def test_the_page_names_every_option():
    """K002, K003, K004, K007, K010, K058, K059, K076, K077, K078, K079, K083, K086: decided there."""
    import argparse

    parser = argparse.ArgumentParser()
    add_run_options(parser)
    options = set(re.findall(r"--[a-z-]+", parser.format_help())) - {"--help"}
    assert {option for option in options if option not in PAGE} == set()
    for word in ("npm", "Go library", "kog upgrade", "no limit", "one by one", "docker login"):
        assert word in PAGE, word


@pytest.mark.long
@pytest.mark.skipif(not shutil.which("docker"), reason="the page calls the program docker")
def test_the_first_run_goes_as_the_page_says(engine, tmp_path):
    """K001, K005, K046, K053."""
    home = programs(tmp_path, DOCKER_HOST=engine.url, DOCKER_BUILDKIT="0")
    (tmp_path / "action").write_text(block("sh"))
    (tmp_path / "Dockerfile").write_text(block("dockerfile").replace("debian:stable-slim", engine.base))
    (tmp_path / "first.yaml").write_text(block("yaml"))
    typed = dict(re.findall(r"^    (docker build|paas-runner workflow \w+) (.*)$", PAGE, re.MULTILINE))
    arguments = ["docker", "build", *typed["docker build"].split()]
    subprocess.run(arguments, cwd=tmp_path, env=home.environment, check=True, capture_output=True)
    codes = {}
    for action in ("check", "graph", "run"):
        done = home.run("paas-runner", "workflow", action, *typed[f"paas-runner workflow {action}"].split())
        codes[action] = done.returncode
    assert codes == {"check": 0, "graph": 0, "run": 7}, done.stderr
    assert re.search(r"^publish +failure +7 .* nobody answers$", done.stdout, re.MULTILINE)
    assert re.search(r"^tell +success", done.stdout, re.MULTILINE)
    (known,) = home.json("list")
    assert (known["context"]["version"], known["context"]["product"]) == ("1.0", "example")
