"""A Docker engine as tests use it."""

import os
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import attrs
from docker import APIClient
from docker.errors import DockerException

BASE = "paas-runner-test/base"


@attrs.frozen(kw_only=True)
class EngineAtHand:
    """Where it is, and the image to begin with: bash, git, python3."""

    url: str
    base: str = BASE

    def restart(self) -> None:
        """End the engine, one of ours, and with it all containers; its guardian starts it again."""
        folder = Path(self.url.removeprefix("unix://")).parent
        before = (folder / "pid").read_text()
        os.kill(int(before), signal.SIGTERM)
        while not self._is_another_than(before, folder / "pid"):
            time.sleep(0.05)

    def _is_another_than(self, before: str, pid: Path) -> bool:
        try:
            with self.client() as client:
                return client.ping() and pid.read_text() != before
        except (DockerException, OSError):
            return False

    @contextmanager
    def client(self) -> Iterator[APIClient]:
        with closing(APIClient(base_url=self.url, version="auto", timeout=60)) as client:
            yield client

    def has(self, image: str) -> bool:
        with self.client() as client:
            return bool(client.images(name=image))

    def take(self, archive: Path, image: str = BASE) -> None:
        """Import a root file system."""
        if not self.has(image):
            with self.client() as client:
                client.import_image(src=str(archive), repository=image)

    def build(self, image: str, dockerfile: str, **files: str) -> str:
        """An image from a Dockerfile and texts, as root has them: executable; returns its name."""
        with tempfile.TemporaryDirectory() as folder:
            for name, text in files.items():
                path = Path(folder) / name.replace("_", "-")
                path.write_text(text)
                path.chmod(0o755)
            (Path(folder) / "Dockerfile").write_text(dockerfile)
            return self.build_folder(image, Path(folder))

    def build_folder(self, image: str, folder: Path, **buildargs: str) -> str:
        """An image from a folder with a Dockerfile; returns its name."""
        with self.client() as client:
            said = list(client.build(path=str(folder), tag=image, rm=True, decode=True, buildargs=buildargs))
        assert self.has(image), said
        return image

    def log(self, container: str) -> str:
        with self.client() as client:
            return str(client.logs(container).decode())

    def everything(self, **labels: str) -> set[tuple[str, str]]:
        """All containers, networks, volumes and images by kind and name; with these of our labels, if any."""
        filters = {"label": [f"paas-runner.{name}={value}" for name, value in labels.items()]}
        with self.client() as client:
            return {
                *(("container", each["Id"]) for each in client.containers(all=True, filters=filters)),
                *(("network", each["Name"]) for each in client.networks(filters=filters)),
                *(("volume", each["Name"]) for each in client.volumes(filters=filters)["Volumes"] or ()),
                *(("image", each["Id"]) for each in client.images(all=True, filters=filters)),
            }
