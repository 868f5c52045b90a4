"""A helper service of the reference's protocol, scripted: over HTTP/1 and over gRPC, with faults on demand.

It has none of our extensions unless `instance` is set. A job that was launched runs until `end` is called; it
may be launched as often as the helper is asked to, which is what a client has to avoid.
"""

import asyncio
import contextlib
import json
from urllib.parse import unquote

import attrs
import grpc.aio

from paas_runner.helper import messages
from paas_runner.helper.protocol import GrpcMethod, JobKey, JobStatus, LaunchRequest
from paas_runner.sandbox.faults import Answer, DropAfter, FaultInjector, FaultPlan, Garbage, Hang
from paas_runner.secret import Secret
from paas_runner.server.listening import Listener

HTTP = {
    GrpcMethod.CAN_TAKE_JOB: ("GET", "/can-take-job"),
    GrpcMethod.LAUNCH_JOB: ("POST", "/launch-job"),
    GrpcMethod.JOB_STATUS: ("GET", "/*/*"),
    GrpcMethod.FORGET_JOB: ("DELETE", "/**"),
}
CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    404: grpc.StatusCode.NOT_FOUND,
    409: grpc.StatusCode.FAILED_PRECONDITION,
    500: grpc.StatusCode.INTERNAL,
    501: grpc.StatusCode.UNIMPLEMENTED,
    503: grpc.StatusCode.RESOURCE_EXHAUSTED,
}
TOKEN = Secret("canary-token-of-the-helper-service-00000")


class NotWellError(Exception):
    def __init__(self, status, **headers):
        super().__init__(status)
        self.status = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


@attrs.define(eq=False)
class ReferenceHelper:
    token: Secret | None = TOKEN
    instance: str = ""
    lease_seconds: int = 600
    clean: bool = True
    ready: bool = True
    jobs: dict[JobKey, JobStatus] = attrs.field(factory=dict)
    launched: list[LaunchRequest] = attrs.field(factory=list)
    forgotten: list[JobKey] = attrs.field(factory=list)
    asked: list[GrpcMethod] = attrs.field(factory=list)
    faults: FaultPlan = attrs.field(factory=FaultPlan)

    def fail(self, verb, fault, times=None):
        method, path = HTTP[verb]
        return self.faults.add(fault, method=method, path=path, times=times)

    def end(self, exit_code=0):
        self.jobs = dict.fromkeys(self.jobs, JobStatus(running=False, exit_code=exit_code))

    def replace(self, instance):
        """As a platform does with a machine that has died."""
        self.instance, self.jobs = instance, {}

    @property
    def told(self):
        if not self.instance:
            return {}
        told = {"paas-runner-instance": self.instance, "paas-runner-lease": str(self.lease_seconds)}
        return told if self.clean else {**told, "paas-runner-clean": "no"}

    def check_token(self, given):
        if self.token and given != f"Bearer {self.token.reveal()}":
            raise NotWellError(401)

    def can_take_job(self):
        return self.ready and self.clean and not self.jobs

    def launch(self, request, instance):
        if self.instance and instance and instance != self.instance:
            raise NotWellError(409)
        if self.instance and request.job in self.jobs:
            return
        if self.jobs and request.job not in self.jobs:
            raise NotWellError(503, retry_after="0")
        self.launched.append(request)
        self.jobs[request.job] = JobStatus(running=True)

    def status(self, job):
        if job not in self.jobs:
            raise NotWellError(404)
        return self.jobs[job]

    def forget(self, job):
        known = self.jobs.pop(job, None) is not None
        if known:
            self.forgotten.append(job)
        return known


def http_app(helper):
    async def app(scope, receive, send):
        body = b""
        while (message := await receive()).get("more_body"):
            body += message["body"]
        body += message["body"]
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        try:
            helper.check_token(headers.get("authorization"))
            status, answer = _answered(helper, scope["method"], scope["path"], body, headers)
            more = helper.told
        except NotWellError as error:
            status, answer, more = error.status, b'{"error": "not well"}', error.headers
        pairs = [(name.encode(), value.encode()) for name, value in more.items()]
        pairs.append((b"content-type", b"application/json"))
        await send({"type": "http.response.start", "status": status, "headers": pairs})
        await send({"type": "http.response.body", "body": answer})

    return FaultInjector(app, helper.faults)


def _answered(helper, method, path, body, headers):
    if (method, path) == HTTP[GrpcMethod.CAN_TAKE_JOB]:
        helper.asked.append(GrpcMethod.CAN_TAKE_JOB)
        return 200, json.dumps(helper.can_take_job()).encode()
    if (method, path) == HTTP[GrpcMethod.LAUNCH_JOB]:
        helper.asked.append(GrpcMethod.LAUNCH_JOB)
        helper.launch(LaunchRequest.from_json(body), headers.get("paas-runner-instance"))
        return 201, b""
    name, job_id = path.strip("/").split("/")
    job = JobKey(unquote(name), int(job_id))
    if method == "GET":
        helper.asked.append(GrpcMethod.JOB_STATUS)
        return 200, json.dumps(attrs.asdict(helper.status(job))).encode()
    helper.asked.append(GrpcMethod.FORGET_JOB)
    if not helper.forget(job) and not helper.instance:
        raise NotWellError(404)
    return 200, b"{}"


class GrpcApp(grpc.GenericRpcHandler):
    def __init__(self, helper):
        self._helper = helper

    def service(self, details):
        verb = GrpcMethod(details.method.rpartition("/")[2])

        async def handle(request, context):
            return await self._handle(verb, request, context)

        return grpc.unary_unary_rpc_method_handler(handle)

    async def _handle(self, verb, request, context):
        helper = self._helper
        helper.asked.append(verb)
        fault = helper.faults.next_fault(*(part.replace("*", "x") for part in HTTP[verb]))
        match fault:
            case Hang():
                await asyncio.sleep(3600)
            case Answer(status=status, headers=headers, body=body):
                if body:
                    return body
                told = tuple((name.lower(), value) for name, value in headers.items())
                await context.abort(CODES[status], "canary-quoted-by-the-helper", trailing_metadata=told)
        sent = dict(context.invocation_metadata())
        try:
            helper.check_token(sent.get("authorization"))
            answer = self._answered(verb, request, sent)
        except NotWellError as error:
            told = tuple(error.headers.items())
            await context.abort(CODES[error.status], "canary-quoted-by-the-helper", trailing_metadata=told)
        if isinstance(fault, DropAfter):
            await context.abort(grpc.StatusCode.UNAVAILABLE, "lost")
        await context.send_initial_metadata(tuple(helper.told.items()))
        return b"\xff\xff\xff" if isinstance(fault, Garbage) else answer

    def _answered(self, verb, request, sent):
        helper = self._helper
        match verb:
            case GrpcMethod.CAN_TAKE_JOB:
                return messages.truth_to_bytes(helper.can_take_job())
            case GrpcMethod.LAUNCH_JOB:
                helper.launch(messages.launch_from_bytes(request), sent.get("paas-runner-instance"))
                return b""
            case GrpcMethod.JOB_STATUS:
                return messages.status_to_bytes(helper.status(messages.job_from_bytes(request)))
            case GrpcMethod.FORGET_JOB:
                return messages.truth_to_bytes(helper.forget(messages.job_from_bytes(request)))


@contextlib.asynccontextmanager
async def served(helper, *, http1):
    """The address at which it listens, with its scheme."""
    if http1:
        listener = Listener(http_app(helper))
        await listener.start()
        try:
            yield listener.url
        finally:
            await listener.stop()
        return
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((GrpcApp(helper),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await server.stop(None)
