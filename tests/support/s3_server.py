"""A small S3 service on loopback that believes nothing: it checks each request's signature for itself."""

import contextlib
import hashlib
import hmac
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import attrs

ACCESS_KEY, SECRET_KEY = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
REGION, BUCKET = "eu-west-3", "ci-cache"
_MOST_SKEW = timedelta(minutes=15)


class RefusedError(Exception):
    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


@attrs.define
class S3Server:
    """One bucket, addressed by path (`/bucket/key`) or by host (`bucket.s3.…`)."""

    address: str = ""  # host:port
    objects: dict[str, bytes] = attrs.field(factory=dict)
    stored_at: dict[str, datetime] = attrs.field(factory=dict)
    session_token: str = ""
    failures: int = 0  # so many of the next requests are answered 503
    seen: list[tuple[str, str]] = attrs.field(factory=list)
    headers: dict[str, str] = attrs.field(factory=dict)  # of the last request

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            self.address = f"127.0.0.1:{server.server_port}"
            yield
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def answer(
        self, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, bytes, str]:
        """Status, content and `Last-Modified`; raises `RefusedError`."""
        self.seen.append((method, target))
        self.headers = headers
        if self.failures:
            self.failures -= 1
            raise RefusedError(503, "SlowDown")
        self._check(method, target, headers, body)
        name = _object(target, headers["host"])
        if method == "PUT":
            self.objects[name] = body
            self.stored_at[name] = datetime.now(UTC)
            return 200, b"", ""
        if name not in self.objects:
            raise RefusedError(404, "NoSuchKey")
        return 200, self.objects[name], format_datetime(self.stored_at[name], usegmt=True)

    def _check(self, method: str, target: str, headers: dict[str, str], body: bytes) -> None:
        """As the S3 API reference describes it for the `Authorization` header."""
        kind, _, rest = headers.get("authorization", "").partition(" ")
        if kind != "AWS4-HMAC-SHA256":
            raise RefusedError(403, "AccessDenied")
        fields = dict(part.strip().split("=", 1) for part in rest.split(","))
        access, day, region, service, end = fields["Credential"].split("/")
        if access != ACCESS_KEY:
            raise RefusedError(403, "InvalidAccessKeyId")
        if (region, service, end) != (REGION, "s3", "aws4_request"):
            raise RefusedError(400, "AuthorizationHeaderMalformed")
        if headers.get("x-amz-security-token", "") != self.session_token:
            raise RefusedError(403, "InvalidToken")
        moment = datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if abs(datetime.now(UTC) - moment) > _MOST_SKEW or not headers["x-amz-date"].startswith(day):
            raise RefusedError(403, "RequestTimeTooSkewed")
        if headers["x-amz-content-sha256"] != hashlib.sha256(body).hexdigest():
            raise RefusedError(400, "XAmzContentSHA256Mismatch")
        names = fields["SignedHeaders"].split(";")
        amazon = {name for name in headers if name.startswith("x-amz-")}
        if names != sorted(names) or not {"host", *amazon} <= set(names):
            raise RefusedError(403, "AccessDenied")
        parts = urlsplit(target)
        request = [
            method,
            parts.path,
            parts.query,
            *(f"{name}:{headers[name].strip()}" for name in names),
            "",
        ]
        canonical = "\n".join([*request, fields["SignedHeaders"], headers["x-amz-content-sha256"]])
        scope = f"{day}/{region}/{service}/{end}"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        text = "\n".join(("AWS4-HMAC-SHA256", headers["x-amz-date"], scope, digest))
        key = f"AWS4{SECRET_KEY}".encode()
        for part in (day, region, service, end, text):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        if key.hex() != fields["Signature"]:
            raise RefusedError(403, "SignatureDoesNotMatch")


def _object(target: str, host: str) -> str:
    """The object's name, as it is encoded."""
    if host.startswith(f"{BUCKET}."):
        return target.removeprefix("/")
    if not target.startswith(f"/{BUCKET}/"):
        raise RefusedError(404, "NoSuchBucket")
    return target.removeprefix(f"/{BUCKET}/")


def _handler(service: S3Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            try:
                status, content, moment = service.answer(self.command, self.path, headers, body)
            except RefusedError as refusal:
                xml = f"<?xml version='1.0'?><Error><Code>{refusal.code}</Code><Message>no</Message></Error>"
                status, content, moment = refusal.status, xml.encode(), ""
            self.send_response(status)
            if moment:
                self.send_header("Last-Modified", moment)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_PUT(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    return Handler
