"""A registry on loopback with one image, for those who have the right password.

As the engine needs it: https://distribution.github.io/distribution/spec/api/.
"""

import base64
import contextlib
import gzip
import hashlib
import http.server
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from typing import Any

import attrs

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@attrs.define
class Registry:
    """`user:password` is asked for unless it is empty; `asked` is how often the image was looked for."""

    login: str = ""
    asked: int = 0
    port: int = 0
    blobs: dict[str, bytes] = attrs.field(factory=dict)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def image(self) -> str:
        return f"{self.host}/group/tool:1"

    def stored(self, media_type: str, data: bytes) -> dict[str, Any]:
        self.blobs[digest(data)] = data
        return {"mediaType": media_type, "size": len(data), "digest": digest(data)}

    @property
    def manifest(self) -> bytes:
        layer = io.BytesIO()
        with tarfile.open(fileobj=layer, mode="w") as archive:
            archive.addfile(tarfile.TarInfo("fetched"))
        history = {"architecture": "amd64", "os": "linux", "config": {"User": "7"}}
        root = {"type": "layers", "diff_ids": [digest(layer.getvalue())]}
        config = self.stored(_CONFIG, json.dumps({**history, "rootfs": root}).encode())
        layers = [self.stored(_LAYER, gzip.compress(layer.getvalue(), mtime=0))]
        manifest = {"schemaVersion": 2, "mediaType": _MANIFEST, "config": config, "layers": layers}
        return json.dumps(manifest).encode()


@contextlib.contextmanager
def serving(login: str = "") -> Iterator[Registry]:
    registry = Registry(login)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = f"Basic {base64.b64encode(registry.login.encode()).decode()}"
            if registry.login and self.headers.get("Authorization") != wanted:
                self._answer(401, b"{}", **{"WWW-Authenticate": 'Basic realm="registry"'})
            elif self.path == "/v2/":
                self._answer(200, b"{}")
            elif "/manifests/" in self.path:
                registry.asked += self.command == "HEAD"
                manifest = registry.manifest
                headers = {"Content-Type": _MANIFEST, "Docker-Content-Digest": digest(manifest)}
                self._answer(200, manifest, **headers)
            else:
                self._answer(200, registry.blobs[self.path.rpartition("/")[2]])

        do_HEAD = do_GET  # noqa: N815

        def _answer(self, status: int, body: bytes, **headers: str) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    registry.port = server.server_port
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()
