"""A secret of the configuration is in no log line, argument, URL, readable file or pushed tree."""

import stat
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import attrs
import httpx
import pytest

from paas_runner.inner import InnerRunner
from paas_runner.sandbox.server import SandboxOptions
from paas_runner.testing.virtual_time import run_virtual
from tests.support.virtual_world import VirtualWorld

CANARIES = {
    "watch token": "canary-watch-0123456789",
    "cache key": "canary-cache-0123456789",
    "attributes token": "canary-attributes-0123456789",
    "extra env": "canary-extra-env-0123456789",
}
RUNNER = f"""
  cc_gitlab_namespace_attributes_token = "{CANARIES["attributes token"]}"
  cc_extra_env = {{ CC_DOCKER_LOGIN_PASSWORD = "{CANARIES["extra env"]}" }}
  cache = {{ Type = "s3", s3 = {{ SecretKey = "{CANARIES["cache key"]}" }} }}
"""


class _Arguments:
    """Looks at the arguments of every process of this machine, as often as it can."""

    def __init__(self):
        self.seen = set()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self):
        while not self._done.is_set():
            for entry in Path("/proc").iterdir():
                if entry.name.isdecimal():
                    try:
                        self.seen.add((entry / "cmdline").read_bytes())
                    except OSError:
                        continue
            time.sleep(0.002)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()


class _Spy:
    """The inner runner, with a look at what was pushed to its host."""

    def __init__(self):
        self.trees = []
        self._inner = InnerRunner(clock=lambda: datetime.now(UTC))

    async def run(self, runner_toml, job_json):
        self.trees.append(runner_toml + job_json)
        return await self._inner.run(runner_toml, job_json)


@pytest.fixture
def spy():
    return _Spy()


@pytest.fixture
def sandbox_options(spy):
    return SandboxOptions(
        coordinator=lambda options: attrs.evolve(options, long_poll_seconds=0.5, trace_interval_seconds=1),
        inner_runner=spy,
    )


@pytest.mark.process
@pytest.mark.parametrize("way", ["built-in", "program"])
async def test_no_secret_of_the_configuration_shows_anywhere(real, spy, way):
    watch = f'token = "{CANARIES["watch token"]}"'
    real.configure(runner=f'{RUNNER}  paas_push = "{way}"\n', watch=watch, more='log_level = "debug"')
    with _Arguments() as arguments:
        async with real.service():
            jobs = real.submit(2)
            jobs += real.submit(1, script=("exit 1",))
            await real.settled(jobs)
    secrets = {
        **CANARIES,
        "runner token": real.sandbox.runner_token.reveal(),
        "cloud token": real.sandbox.cloud_token.reveal(),
    }
    assert len(spy.trees) == 3
    assert way == "built-in" or any(b"\0push\0" in line for line in arguments.seen), "no push was seen"
    for name, secret in secrets.items():
        assert secret not in real.printed(), f"{name} is in the log"
        assert not [line for line in arguments.seen if secret.encode() in line], f"{name} is an argument"
        if name != "cache key":  # the one secret that the job's host needs
            assert not [tree for tree in spy.trees if secret in tree], f"{name} was pushed"
    for file in real.config.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, f"{file.name} is for everybody"


def test_no_secret_is_in_any_url(tmp_path):
    async def story():
        world = VirtualWorld(tmp_path, runner=RUNNER)
        urls = []
        transport = world._transport

        def recording(base_url):
            inner = transport(base_url)

            class Recording(httpx.AsyncBaseTransport):
                async def handle_async_request(self, request):
                    urls.append(str(request.url))
                    return await inner.handle_async_request(request)

            return Recording()

        world._transport = recording
        async with world.service():
            jobs = [world.submit("sleep 60"), world.submit("exit 1")]
            await world.settled(*jobs)
        await world.aclose()
        assert len(urls) > 20
        secrets = [*CANARIES.values(), "cloud-token-canary", world.runner.token.reveal()]
        secrets += [job.token.reveal() for job in jobs]
        assert not [url for url in urls for secret in secrets if secret in url]

    run_virtual(story())
