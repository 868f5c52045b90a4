"""What the documents show runs."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "pipelines" / "examples"


@pytest.mark.long
@pytest.mark.process
def test_the_demo_kills_its_server_and_finds_every_run_as_it_should_be():
    done = subprocess.run(
        [sys.executable, EXAMPLES / "demo.py"], capture_output=True, text=True, timeout=110, check=False
    )
    assert (done.returncode, done.stderr) == (0, "switch | no such host\n"), done.stdout
    assert done.stdout.endswith("Nothing was lost, nothing is left.\n")
