"""The routes for runner records: registration, verification, removal, another token (spec §1)."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from paas_runner.pipelines.coordinator import Coordinator
from paas_runner.pipelines.runners import RunnerRecord, same
from paas_runner.server.wire import (
    Refused,
    flag,
    forbidden,
    mapping,
    not_found,
    number,
    parameters,
    required,
    text,
)

_SHORTEST_TIMEOUT_SECONDS = 600


class RunnerApi:
    """What `gitlab-runner register`, `verify` and `unregister` call."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._coordinator = coordinator

    def routes(self) -> list[Route]:
        base = "/api/v4/runners"
        return [
            Route(base, self.register, methods=["POST"]),
            Route(base, self.unregister, methods=["DELETE"]),
            Route(f"{base}/verify", self.verify, methods=["POST"]),
            Route(f"{base}/managers", self.unregister_manager, methods=["DELETE"]),
            Route(f"{base}/reset_authentication_token", self.reset_token, methods=["POST"]),
        ]

    async def register(self, request: Request) -> Response:
        """A new runner for a registration token: 201, 400, 403 (§1.2)."""
        given = await parameters(request)
        if not same(self._coordinator.options.registration_token, required(given, "token")):
            raise forbidden("invalid token supplied")
        tags = _tags(given.get("tag_list"))
        if not tags and not flag(given, "run_untagged", default=True):
            raise Refused(400, "tags_list: can not be empty when runner is not allowed to pick untagged jobs")
        runner = self._coordinator.runners.add(
            description=text(given, "description"),
            paused=flag(given, "paused") or not flag(given, "active", default=True),
            tags=tags,
            runs_untagged=flag(given, "run_untagged", default=True),
            maximum_timeout=_maximum_timeout(given),
            legacy=True,
        )
        return JSONResponse({"id": runner.runner_id, **_token(runner)}, 201)

    async def verify(self, request: Request) -> Response:
        """Whether a token is good: 200 or 403 (§1.4)."""
        given = await parameters(request)
        runner = authenticated(self._coordinator, given)
        self._coordinator.runners.seen(runner.runner_id, text(given, "system_id"), mapping(given, "info"))
        return JSONResponse({"id": runner.runner_id, **_token(runner)})

    async def unregister(self, request: Request) -> Response:
        """Remove the runner: 204 or 403 (§1.5)."""
        runner = authenticated(self._coordinator, await parameters(request))
        self._coordinator.runners.remove(runner.runner_id)
        return Response(status_code=204)

    async def unregister_manager(self, request: Request) -> Response:
        """Remove one machine of a runner: 204, 400, 403, 404 (§1.5)."""
        given = await parameters(request)
        runner = authenticated(self._coordinator, given)
        if not self._coordinator.runners.forget_manager(runner.runner_id, required(given, "system_id")):
            raise not_found("Runner manager")
        return Response(status_code=204)

    async def reset_token(self, request: Request) -> Response:
        """Another token for the runner: 201 or 403 (§1.6)."""
        runner = authenticated(self._coordinator, await parameters(request))
        return JSONResponse(_token(self._coordinator.runners.reset_token(runner.runner_id)), 201)


def authenticated(coordinator: Coordinator, given: Mapping[str, Any]) -> RunnerRecord:
    """The runner whose `token` was given; raises `Refused` with 400 or 403."""
    runner = coordinator.runners.authenticate(required(given, "token"))
    if runner is None:
        raise forbidden("invalid token supplied")
    return runner


def _token(runner: RunnerRecord) -> dict[str, Any]:
    return {"token": runner.token.reveal(), "token_expires_at": None}


def _tags(value: object) -> tuple[str, ...]:
    """Runners send one text with commas, other clients a list."""
    parts = value if isinstance(value, list) else str(value or "").split(",")
    return tuple(tag for part in parts if (tag := str(part).strip()))


def _maximum_timeout(given: Mapping[str, Any]) -> timedelta | None:
    seconds = number(given, "maximum_timeout")
    if seconds is None:
        return None
    if seconds < _SHORTEST_TIMEOUT_SECONDS:
        raise Refused(400, "maximum_timeout: needs to be at least 10 minutes")
    return timedelta(seconds=seconds)
