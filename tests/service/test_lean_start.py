"""What a service of clouds alone leaves alone: the libraries of what it does not do."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

SERVICE = """
import sys
from paas_runner.cli import main
code = main(["run", sys.argv[1]])
ours = {".".join(name.split(".")[:2]) for name in sys.modules if name.startswith("paas_runner.")}
print(*{name.partition(".")[0] for name in sys.modules}, *ours)
sys.exit(code)
"""

CONFIG = """
state_file = "{folder}/state.json"
[[runners]]
  url = "http://127.0.0.1:9"
  token = "glrt-abcdefghijklmnopqrst"
  executor = "clever-docker"
  cc_api_url = "http://127.0.0.1:9/v2"
  cc_orga_id = "orga_1"
  cc_token = "cloud-token"
"""

LEFT_ALONE = {
    "anyio",  # httpx's own transport
    "certifi",
    "click",
    "docker",  # local-docker
    "google",  # traces
    "jinja2",  # the site
    "prometheus_client",
    "psycopg",  # a store that several processes share
    "git",  # the push by the git program
    "httpcore",
    "opentelemetry",
    "paas_runner.leases",  # several processes on one store
    "paas_runner.notify",
    "paas_runner.logs.syslog",
    "paas_runner.tracing",
    "pygments",
    "requests",  # docker
    "rich",  # commands
    "starlette",  # the sandbox
    "tomlkit",  # registration
    "urllib3",
    "uvicorn",
    "yaml",
}


def test_a_service_of_clouds_alone_loads_no_library_of_what_it_does_not_do(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.touch(mode=0o600)
    config.write_text(CONFIG.format(folder=tmp_path))
    command = [sys.executable, "-c", SERVICE, config]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        assert process.stdout
        assert any('"event": "started"' in line for line in process.stderr)
        process.send_signal(signal.SIGTERM)
        process.stderr.read()
        loaded = set(process.stdout.read().split())
    assert process.returncode == 0
    assert {"httpx", "executors", "structlog"} <= loaded
    assert loaded & LEFT_ALONE == set()
