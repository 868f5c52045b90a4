"""A service that crashes leaves its memory nowhere: all tokens are in it."""

import subprocess
import sys

CRASH = """
import ctypes, os, resource
from paas_runner.service.process import leave_no_core_file
leave_no_core_file()
print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), flush=True)
os.abort()
"""


def test_neither_the_process_nor_what_it_starts_leaves_a_core_file(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", CRASH], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == ("(0, 0) 0\n", -6), done.stderr
    assert list(tmp_path.iterdir()) == []
