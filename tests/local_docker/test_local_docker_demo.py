"""The demo with hosts on a real engine."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

PROGRAM = Path(sys.executable).with_name("paas-runner")


def demo(engine, *arguments):
    return subprocess.run(
        [PROGRAM, "demo", "--executor", "local-docker", *arguments],
        env={**os.environ, "DOCKER_HOST": engine},
        check=False,
        timeout=110,
        capture_output=True,
        text=True,
    )


def test_the_demo_keeps_the_promise_on_an_engine(engine, host_image):
    result = demo(engine.url, "--image", host_image, "--json")
    document = json.loads(result.stdout)
    assert (result.returncode, document["verdict"], document["problems"]) == (0, "kept", []), document
    assert document["hosts"] == {"created": 4, "left": 0}
    logs = {job["name"]: job["log"] for job in document["jobs"]}
    assert "the service answers 200" in logs["unit tests"]
    assert "compiled by job" in logs["report"]


def test_the_demo_says_that_there_is_no_engine(tmp_path):
    result = demo(f"unix://{tmp_path}/socket")
    assert result.returncode == 1
    assert "paas-runner demo: there is no Docker engine" in result.stderr


def test_the_demo_says_that_there_is_no_image_for_hosts(engine):
    result = demo(engine.url, "--image", "paas-runner-test/none")
    assert result.returncode == 1
    assert (
        "the engine has no image paas-runner-test/none: build it with packaging/images/build" in result.stderr
    )
