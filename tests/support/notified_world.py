"""The operated world with somebody who is to be woken: a receiver of notices that keeps what it gets."""

import json

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from paas_runner.sandbox.faults import FaultInjector, FaultPlan
from tests.support.operated_world import OperatedWorld

RECEIVER = "http://receiver.test"

SECTION = """
[[notify]]
  name = "ops"
  url = "{url}/hooks/canary-of-the-address"
  {more}
"""


class NotifiedWorld(OperatedWorld):
    """`told` are the documents in the order in which they came, `faults` what goes wrong at the receiver."""

    def __init__(self, folder, *, notify="", tail="", **options):
        self.requests = []
        self.tail = tail  # of the file, after the receiver
        self.faults = FaultPlan()
        self.unwanted = None  # a document with that in it is refused
        super().__init__(folder, **options)
        app = Starlette(routes=[Route("/{path:path}", self._receive, methods=["POST"])])
        self._apps[RECEIVER] = FaultInjector(app, self.faults)
        self.notify(notify)

    def notify(self, more="", **settings):
        """The file with this receiver."""
        self.sections = SECTION.format(url=RECEIVER, more=more) + self.tail
        self.write(**settings)

    async def _receive(self, request):
        body = await request.body()
        if self.unwanted and self.unwanted in body:
            return PlainTextResponse("not that", 400)
        self.requests.append((dict(request.headers), body))
        return PlainTextResponse("ok")

    @property
    def told(self):
        return [json.loads(body) for _, body in self.requests]

    @property
    def words(self):
        return [(told["kind"], told["state"]) for told in self.told]
