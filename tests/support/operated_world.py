"""The virtual world with an operator: several runners, a file that changes, questions to the service."""

import asyncio
from contextlib import asynccontextmanager, nullcontext

from paas_runner.config import load
from paas_runner.secret import Secret
from paas_runner.service.app import serve
from paas_runner.service.assembly import Edges
from paas_runner.testing.virtual_time import virtual_now
from tests.support.live_records import added
from tests.support.virtual_world import CLOUD, COORDINATOR, VirtualWorld

SECTION = """
[[runners]]
  name = "{name}"
  url = "{url}"
  token = "{token}"
  executor = "clever-docker"
  cc_api_url = "{cloud}/v2"
  cc_orga_id = "{organisation}"
  cc_token = "{cloud_token}"
  limit = {limit}
  {more}
"""


class OperatedWorld(VirtualWorld):
    """`write` makes the file, `ask` asks the running service as a command would."""

    def __init__(self, folder, **options):
        super().__init__(folder, **options)
        self.runners = {"virtual": self.runner}
        self.key_at_first = self.key
        self.cloud_token = "cloud-token-canary"
        self._cloud_tokens = [Secret(self.cloud_token)]
        self.config_file = folder / "config.toml"
        self.certificate = None
        self.sections = ""  # more of the file, at its end
        self._answers = {}
        self.write()

    def add_runner(self, name):
        self.runners[name] = added(self.gitlab, description=name)

    def rotate(self, name="virtual"):
        self.gitlab.runners.reset_token(self.runners[name].runner_id)

    def rotate_cloud_token(self, token):
        """From now on another token works, too; the jobs that have begun still need the earlier ones."""
        self._cloud_tokens.append(Secret(token))
        self.cloud.accounts.replace_tokens(self.organisation, *self._cloud_tokens)
        self.cloud_token = token

    def write(self, *names, limit=0, more="", **settings):
        """The file with these runners, or all."""
        settings = {"concurrent": 10, "check_interval": 3} | settings
        lines = [f"{key} = {_toml(value)}" for key, value in settings.items()]
        lines += [
            SECTION.format(
                name=name,
                url=COORDINATOR,
                token=self.runners[name].token.reveal(),
                cloud=CLOUD,
                organisation=self.organisation,
                cloud_token=self.cloud_token,
                limit=limit,
                more=more,
            )
            for name in names or self.runners
        ]
        self.config_file.write_text("\n".join([*lines, self.sections]))

    def configuration(self):
        return load(self.config_file, environ={}, executors=self.executors)

    def start(self):
        self._answers = {}

        async def open_store(_path):
            return self.store

        def control(_path, answers):
            self._answers = answers
            return nullcontext()

        edges = Edges(
            open_store=open_store,
            executors=self.executors,
            rng=self.rng,
            started_at=virtual_now(),
            control=control,
            reread=self.configuration,
            **self.site.edges(rng=self.rng, transport=self._transport),
        )
        stopping = asyncio.Event()
        return asyncio.ensure_future(serve(self.configuration(), edges, stopping)), stopping

    @asynccontextmanager
    async def service(self):
        serving, stopping = self.start()
        try:
            yield serving
        finally:
            stopping.set()
            self.certificate = await serving

    async def ask(self, question, **more):
        """All parts of the answer; raises what the command would print."""
        while question not in self._answers:
            await asyncio.sleep(0.1)
        return [part async for part in self._answers[question]({"ask": question, **more})]

    async def reload(self):
        [done] = await self.ask("reload")
        return done


def _toml(value):
    return f'"{value}"' if isinstance(value, str) else str(value).lower()
