"""The unavoidable requests with nothing around them: what no service can do with less.

    python floor.py CONFIG

It reads the configuration of the benchmark as a service would, and knows what a service has to find out: how
long the repository takes, when a job has its first byte and when it ends (`BENCHMARK_SETTING`). A job is
seven requests: acquisition, creation with the environment, two for the push, a look at the first byte, a look
at the end, deletion. There are no records, no log, no looks that find nothing, and no errors are handled.
"""

import asyncio
import base64
import hashlib
import json
import os
import signal
import sys
import tomllib
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_VARIANT = "70d676a0-a775-4dc9-a43d-3121036e8515"
_NONE = "0" * 40


class Door:
    """One server, and the connections to it that are not in use."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname, parts.port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def call(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes = b""
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers, body."""
        pair = self._idle.pop() if self._idle else await asyncio.open_connection(self._host, self._port)
        reader, writer = pair
        lines = [f"{method} {path} HTTP/1.1", f"host: {self._host}:{self._port}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode() + body)
        first, *rest = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
        found = dict(line.split(": ", 1) for line in rest)
        answer = await reader.readexactly(int(found.get("content-length", "0")))
        self._idle.append(pair)
        return int(first.split()[1]), found, answer


class Service:
    """One runner."""

    def __init__(self, config: Mapping[str, Any], setting: Mapping[str, Any]) -> None:
        runner = config["runners"][0]
        self._pause = config.get("check_interval", 3)
        self._token, self._setting = runner["token"], setting
        self._coordinator, self._cloud = Door(runner["url"]), Door(runner["cc_api_url"])
        self._applications = f"/v2/organisations/{runner['cc_orga_id']}/applications"
        self._headers = {"authorization": f"token {runner['cc_token']}", "content-type": "application/json"}
        basic = base64.b64encode(f"Jenkins:{runner['cc_token']}".encode()).decode()
        self._push_headers = {"authorization": f"Basic {basic}"}
        self._version = ""
        self._jobs: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        _, _, body = await self._cloud.call("GET", "/v2/products/instances", {})
        self._version = max(each["version"] for each in json.loads(body) if each["enabled"])
        last = ""
        while True:
            asked = {"token": self._token, **({"last_update": last} if last else {})}
            status, headers, body = await self._coordinator.call(
                "POST",
                "/api/v4/jobs/request",
                {"content-type": "application/json"},
                json.dumps(asked).encode(),
            )
            last = headers.get("x-gitlab-last-update", last)
            if status == 201:
                task = asyncio.create_task(self._job(json.loads(body)))
                self._jobs.add(task)
                task.add_done_callback(self._jobs.discard)
            elif "gitlab-ci-builds-polling" not in headers:
                await asyncio.sleep(self._pause)

    async def _job(self, job: Mapping[str, Any]) -> None:
        wanted = json.dumps(
            {
                "name": f"hpd-job-{self._token[:8]}-{job['id']}",
                "zone": "par",
                "deploy": "git",
                "instanceType": "docker",
                "instanceVersion": self._version,
                "instanceVariant": _VARIANT,
                "instanceLifetime": "TASK",
                "minInstances": 1,
                "maxInstances": 1,
                "minFlavor": "heptapod-runner-M",
                "maxFlavor": "heptapod-runner-M",
                "env": {"CC_MOUNT_DOCKER_SOCKET": "true"},
            }
        ).encode()
        _, _, body = await self._cloud.call("POST", self._applications, self._headers, wanted)
        application = json.loads(body)
        await asyncio.sleep(self._setting["distance"].get("repository", 0.0))
        await self._push(urlsplit(application["deployment"]["httpUrl"]).path, json.dumps(job).encode())
        await asyncio.sleep(self._setting["first_byte_seconds"])
        token = {"job-token": job["token"]}
        trace = {**token, "content-range": "1-1", "content-type": "text/plain"}
        await self._coordinator.call("PATCH", f"/api/v4/jobs/{job['id']}/trace", trace, b"\n")
        await asyncio.sleep(self._setting["run_seconds"] - self._setting["first_byte_seconds"])
        while (await self._coordinator.call("GET", "/api/v4/job", token))[0] != 401:  # noqa: ASYNC110 - no news
            await asyncio.sleep(0.01)
        await self._cloud.call("DELETE", f"{self._applications}/{application['id']}", self._headers)

    async def _push(self, repository: str, job: bytes) -> None:
        refs = f"{repository}/info/refs?service=git-receive-pack"
        await self._cloud.call("GET", refs, self._push_headers)
        commit, pack = _packed(job)
        command = f"{_NONE} {commit} refs/heads/master\0 report-status".encode()
        body = f"{len(command) + 4:04x}".encode() + command + b"0000" + pack
        kind = {"content-type": "application/x-git-receive-pack-request"}
        await self._cloud.call("POST", f"{repository}/git-receive-pack", self._push_headers | kind, body)


def _packed(job: bytes) -> tuple[str, bytes]:
    """A commit with one file, and its pack."""
    blob = hashlib.sha1(b"blob %d\0" % len(job) + job).digest()
    tree = b"100644 job.json\0" + blob
    signed = b"Benchmark <benchmark@example.test> 946684800 +0000"
    commit = b"tree %s\nauthor %s\ncommitter %s\n\nJob definition\n" % (
        hashlib.sha1(b"tree %d\0" % len(tree) + tree).hexdigest().encode(),
        signed,
        signed,
    )
    objects = b"".join(
        _head(kind, len(content)) + zlib.compress(content)
        for kind, content in ((1, commit), (2, tree), (3, job))
    )
    pack = b"PACK" + (2).to_bytes(4, "big") + (3).to_bytes(4, "big") + objects
    return hashlib.sha1(b"commit %d\0" % len(commit) + commit).hexdigest(), pack + hashlib.sha1(pack).digest()


def _head(kind: int, size: int) -> bytes:
    """Type and length, seven bits a byte after the first four."""
    made = bytearray([kind << 4 | size & 15])
    size >>= 4
    while size:
        made[-1] |= 128
        made.append(size & 127)
        size >>= 7
    return bytes(made)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    configuration = tomllib.loads(Path(sys.argv[1]).read_text())
    asyncio.run(Service(configuration, json.loads(os.environ["BENCHMARK_SETTING"])).serve())
