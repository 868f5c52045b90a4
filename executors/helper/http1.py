"""The helper's protocol over HTTP/1 (core-features.md H137 to H140).

No redirect is followed with the token, and no answer's own words are shown: they may quote what was sent.
"""

import asyncio
from typing import Any

from executors.helper.contract import (
    ANSWER_SECONDS,
    MOST_ANSWER_BYTES,
    OPS,
    SECONDS,
    Availability,
    HelperBusyError,
    HelperReplacedError,
    Sighting,
    TokenRefusedError,
    Told,
    pause,
    told_by,
)
from paas_runner.errors import Rejected, Transient
from paas_runner.helper.protocol import (
    CAN_TAKE_JOB_PATH,
    INSTANCE_HEADER,
    LAUNCH_JOB_PATH,
    GrpcMethod,
    JobKey,
    JobStatus,
    LaunchRequest,
)
from paas_runner.http import QUICK_TRIES, Connect, HttpClient, Response
from paas_runner.secret import Secret


class HttpHelper:
    """A helper at `url`, which begins with the scheme."""

    def __init__(self, url: str, *, service: str, token: Secret | None, connect: Connect) -> None:
        """Connections are made when they are needed; raises OSError and `ProxyError` as `connect` does."""
        headers = {"Authorization": Secret(f"Bearer {token.reveal()}")} if token else {}
        self._client: HttpClient = connect(url, service=service, headers=headers, at_once=2)
        self.service = service

    async def can_take_job(self) -> Availability:
        answer = await self._answer("GET", CAN_TAKE_JOB_PATH, GrpcMethod.CAN_TAKE_JOB)
        try:
            found = answer.json()
        except ValueError:
            found = None
        if not isinstance(found, bool):
            raise self._senseless(GrpcMethod.CAN_TAKE_JOB)
        return Availability(takes=found, told=_told(answer))

    async def launch(self, request: LaunchRequest, *, instance: str = "") -> None:
        try:
            answer = await self._launched(request, instance)
        except HelperBusyError as busy:
            await asyncio.sleep(pause(busy))
            answer = await self._launched(request, instance)
        if answer.status != 201:
            raise self._refused(answer, GrpcMethod.LAUNCH_JOB)

    async def status(self, job: JobKey) -> Sighting | None:
        answer = await self._answer("GET", job.path, GrpcMethod.JOB_STATUS, known=(404,))
        if answer.status == 404:
            return None
        try:
            return Sighting(status=JobStatus.from_json(answer.body), told=_told(answer))
        except ValueError:
            raise self._senseless(GrpcMethod.JOB_STATUS) from None

    async def forget(self, job: JobKey) -> Told:
        return _told(await self._answer("DELETE", job.path, GrpcMethod.FORGET_JOB, known=(404,)))

    async def aclose(self) -> None:
        await self._client.aclose()

    async def _launched(self, request: LaunchRequest, instance: str) -> Response:
        verb = GrpcMethod.LAUNCH_JOB
        headers = {INSTANCE_HEADER: instance} if instance else None
        try:
            answer = await self._answer(
                "POST", LAUNCH_JOB_PATH, verb, known=(409,), payload=request.as_json(), headers=headers
            )
        except Transient as error:
            if error.status != 503:
                raise
            raise HelperBusyError(
                "takes no job now",
                service=self.service,
                op=OPS[verb],
                status=503,
                retry_after=error.retry_after,
            ) from error
        if answer.status == 409 and instance:
            text = "the machine was started anew, or the job was there before"
            raise HelperReplacedError(text, service=self.service, op=OPS[verb], status=409)
        return answer

    async def _answer(
        self, method: str, path: str, verb: GrpcMethod, *, known: tuple[int, ...] = (), **request: Any
    ) -> Response:
        """A success, or a status of `known`."""
        try:
            answer = await self._client.call(
                method,
                path,
                op=OPS[verb],
                within=SECONDS.get(verb, ANSWER_SECONDS),
                attempts=QUICK_TRIES if verb is GrpcMethod.JOB_STATUS else 1,
                most_bytes=MOST_ANSWER_BYTES,
                redirects=False,
                **request,
            )
        except Transient as error:
            raise self._without_its_words(error) from error
        if 200 <= answer.status < 300 or answer.status in known:
            return answer
        raise self._refused(answer, verb)

    def _refused(self, answer: Response, verb: GrpcMethod) -> Rejected:
        if answer.status in (401, 403):
            text = f"refuses our token (status {answer.status})"
            return TokenRefusedError(text, service=self.service, op=OPS[verb], status=401)
        text = f"answered {answer.status}"
        return Rejected(text, service=self.service, op=OPS[verb], status=answer.status)

    def _without_its_words(self, error: Transient) -> Transient:
        if error.status is None:
            return error
        text = f"answered {error.status}"
        return Transient(
            text, service=error.service, op=error.op, status=error.status, retry_after=error.retry_after
        )

    def _senseless(self, verb: GrpcMethod) -> Transient:
        text = "this is no answer of a helper service"
        return Transient(text, service=self.service, op=OPS[verb])


def _told(answer: Response) -> Told:
    return told_by(answer.headers.get)
