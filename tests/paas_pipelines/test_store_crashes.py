"""A process that writes the store may die anywhere: the next one finds the state of one moment."""

import random
import subprocess
import sys

import pytest


def crashed(*arguments):
    """The numbers that the program ends with."""
    command = [sys.executable, "-m", "tests.paas_pipelines.crashed_store", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return [int(number) for number in done.stdout.split()]


def test_killed_at_every_write_everything_is_as_it_was_at_one_moment_and_what_was_answered_is_there(tmp_path):
    """Runs, decisions, calls, jobs, traces; before and after each write of a file and each commit."""
    points, states, moments = crashed("points", tmp_path)
    assert points > 40
    assert states > 5
    assert moments > 10


@pytest.mark.long
def test_a_busy_writer_that_is_killed_again_and_again_loses_nothing_and_leaves_no_half(tmp_path):
    seed = random.randrange(10**6)
    total, acknowledged = crashed("kills", tmp_path, seed, 30)
    assert total >= acknowledged > 300, seed
