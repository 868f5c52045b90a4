"""Clusters for tests: in process and in virtual time, with a client that knows the paths."""

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import Any

import httpx

from paas_runner.sandbox.faults import FaultInjector, FaultPlan
from paas_runner.sandbox.kubernetes import Cluster, ClusterOptions, Rule, Script, ScriptedRuntime, create_app
from paas_runner.secret import Secret
from paas_runner.testing.virtual_time import run_virtual, virtual_now
from tests.support.streaming_app import StreamingApp

TOKEN = Secret("canary-cluster-token")
SCRIPTS: Mapping[str, Script] = {
    "hello": Script(lines=[(0.0, "one"), (2.0, "two")]),
    "fails": Script(lines=[(1.0, "oh")], code=3),
    "oom": Script(lines=[(1.0, "more")], out_of_memory=True),
    "hangs": Script(lines=[(0.0, "here")], hangs=True),
    "stubborn": Script(hangs=True, ignores_stop=True),
}
JOBS = "/apis/batch/v1/namespaces/default/jobs"
PODS = "/api/v1/namespaces/default/pods"
SECRETS = "/api/v1/namespaces/default/secrets"


def container(image: str = "hello", **more: Any) -> dict[str, Any]:
    return {"name": "main", "image": image, **more}


def job(
    name: str = "a", image: str = "hello", *, pod: Mapping[str, Any] | None = None, **spec: Any
) -> dict[str, Any]:
    """A job that is not tried again; `pod` are more fields of its pod, `spec` of itself."""
    inner = {"restartPolicy": "Never", "containers": [container(image)], **(pod or {})}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"backoffLimit": 0, "template": {"spec": inner}, **spec},
    }


class Asked:
    """One cluster, and whoever asks it with the token."""

    def __init__(
        self, options: ClusterOptions | None = None, scripts: Mapping[str, Script] = SCRIPTS
    ) -> None:
        self.cluster = Cluster(
            clock=virtual_now,
            rng=random.Random(1),
            runtime=ScriptedRuntime(scripts),
            options=options or ClusterOptions(),
        )
        self.cluster.accounts.add("admin", TOKEN)
        self.faults = FaultPlan()
        self.client = self.as_account(TOKEN)

    def as_account(self, token: Secret) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=StreamingApp(FaultInjector(create_app(self.cluster), self.faults)),
            base_url="http://kubernetes.test",
            headers={"Authorization": f"Bearer {token.reveal()}"},
        )

    def with_rules(self, *rules: Rule) -> httpx.AsyncClient:
        self.cluster.accounts.add("system:serviceaccount:default:limited", Secret("limited-token"), rules)
        return self.as_account(Secret("limited-token"))

    async def get(self, path: str, **query: Any) -> Any:
        answer = await self.client.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def create(self, path: str, body: Mapping[str, Any], **query: Any) -> Any:
        answer = await self.client.post(path, json=body, params=query)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def patch(self, path: str, body: Mapping[str, Any], kind: str = "merge-patch") -> httpx.Response:
        headers = {"Content-Type": f"application/{kind}+json"}
        return await self.client.patch(path, content=json.dumps(body), headers=headers)

    async def refused(self, path: str, body: Any, **query: Any) -> Any:
        """The Status of a creation that is refused."""
        answer = await self.client.post(path, json=body, params=query)
        assert answer.status_code >= 400, answer.text
        status = answer.json()
        assert (status["kind"], status["code"]) == ("Status", answer.status_code)
        return status

    async def pods(self) -> list[Any]:
        return list((await self.get(PODS))["items"])

    async def reasons(self) -> list[str]:
        events = (await self.get("/api/v1/namespaces/default/events"))["items"]
        return [each["reason"] for each in events]

    async def log(self, name: str, **query: Any) -> str:
        answer = await self.client.get(f"{PODS}/{name}/log", params=query)
        assert answer.status_code == 200, answer.text
        return answer.text

    @contextlib.asynccontextmanager
    async def watching(self, path: str, **query: Any) -> AsyncIterator[AsyncIterator[Any]]:
        """The events of a watch, as they come."""
        async with self.client.stream("GET", path, params={"watch": "true", **query}) as answer:
            assert answer.status_code == 200
            yield (json.loads(line) async for line in answer.aiter_lines())


def conditions(found: Mapping[str, Any]) -> dict[str, str]:
    """The types of those that are true, with their reasons."""
    every = found["status"].get("conditions", ())
    return {each["type"]: each.get("reason", "") for each in every if each["status"] == "True"}


def in_cluster(
    story: Callable[[Asked], Coroutine[Any, Any, None]],
    options: ClusterOptions | None = None,
    scripts: Mapping[str, Script] = SCRIPTS,
) -> None:
    """Play a story in virtual time; nothing runs at its end."""

    async def play() -> None:
        asked = Asked(options, scripts)
        try:
            await story(asked)
        finally:
            await asked.client.aclose()
            await asked.cluster.aclose()
        assert asked.cluster.ledger.running == []
        await asyncio.sleep(0)

    run_virtual(play())
