"""Applications of a simulated cloud that run a helper service each, all behind one listener by their ids."""

import asyncio
import contextlib

import attrs

from paas_runner.sandbox.faults import FaultInjector, FaultPlan
from paas_runner.secret import Secret
from paas_runner.server.listening import Listener
from tests.support.reference_helper import ReferenceHelper, http_app

VARIABLE = "HEPTAPOD_PAAS_RUNNER_TOKEN"


@attrs.define(eq=False)
class HelperHosts:
    """`extended` makes them helpers of ours; `running` are those that listen, by the application's id."""

    extended: bool = True
    comes_up: bool = True
    running: dict[str, ReferenceHelper] = attrs.field(factory=dict)
    all: list[tuple[str, ReferenceHelper]] = attrs.field(factory=list)
    started: list = attrs.field(factory=list)
    asked: list[str] = attrs.field(factory=list)
    faults: FaultPlan = attrs.field(factory=FaultPlan)
    url: str = ""

    async def program(self, host):
        """What a machine of the cloud runs."""
        ref = host.environment["APP_ID"]
        self.started.append(host)
        if not self.comes_up:
            return 1
        instance = host.environment["INSTANCE_ID"] if self.extended else ""
        helper = ReferenceHelper(token=Secret(host.environment[VARIABLE]), instance=instance)
        self.running[ref] = helper
        self.all.append((host.environment["CC_APP_NAME"], helper))
        try:
            await asyncio.Event().wait()
        finally:
            del self.running[ref]

    async def app(self, scope, receive, send):
        ref, _, below = scope["path"].lstrip("/").partition("/")
        self.asked.append(f"{scope['method']} /{below}")
        helper = next((each for key, each in self.running.items() if key.replace("_", "-") == ref), None)
        if helper is None:
            await send({"type": "http.response.start", "status": 503, "headers": []})
            await send({"type": "http.response.body", "body": b"<html>no such application here</html>"})
        else:
            await http_app(helper)({**scope, "path": f"/{below}"}, receive, send)

    @contextlib.asynccontextmanager
    async def listening(self):
        listener = Listener(FaultInjector(self.app, self.faults))
        await listener.start()
        self.url = f"{listener.url}/{{application}}"
        try:
            yield self
        finally:
            await listener.stop()
