"""The Docker engine of the user who runs the tests."""

from collections.abc import Mapping, Sequence

from docker.errors import DockerException

from tests.support.engine.at_hand import EngineAtHand
from tests.support.engine.private import NoEngineError

STANDARD = "unix:///var/run/docker.sock"
BASE = """\
FROM debian:bookworm-slim
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates git python3 \\
    && rm -rf /var/lib/apt/lists/*
"""


def users_engine(environ: Mapping[str, str], *, instead_of: Sequence[str]) -> EngineAtHand:
    """The engine that Docker's own programs would use, with our base image.

    Raises `NoEngineError`, which says what a private one would need, too.
    """
    engine = EngineAtHand(url=environ.get("DOCKER_HOST") or STANDARD)
    why = f"a private engine needs {', '.join(instead_of)}, and"
    if not engine.url.startswith("unix://"):
        raise NoEngineError(f"{why} the one at $DOCKER_HOST has no unix socket")
    try:
        with engine.client() as client:
            client.ping()
    except DockerException as error:
        raise NoEngineError(f"{why} {engine.url} does not answer: {error}") from error
    if not engine.has(engine.base):
        try:
            engine.build(engine.base, BASE)
        except AssertionError as error:
            raise NoEngineError(f"the base image cannot be built on {engine.url}: {error}") from error
    return engine
