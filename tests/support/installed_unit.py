"""The unit of the Debian package on a booted machine, asked by its own means."""

import asyncio
import json
import shutil
from typing import Any

from tests.support.debian_root import DebianRoot

UNIT = "heptapod-paas-runner.service"
CONFIG = "/etc/paas-runner/config.toml"
DROP_IN = f"/etc/systemd/system/{UNIT}.d/test.conf"


class InstalledUnit:
    """With a configuration for the sandbox of `world`; the only one, or an instance of the template."""

    def __init__(self, machine: DebianRoot, world: Any, *, instance: str = "") -> None:
        self.machine = machine
        self.world = world
        self.name = f"heptapod-paas-runner@{instance}.service" if instance else UNIT
        self.config = f"/etc/paas-runner/{instance}.toml" if instance else CONFIG
        self.state = f"/var/lib/paas-runner/{instance}".rstrip("/")

    def configure(self, **options):
        self.world.configure(**options)
        shutil.copyfile(self.world.config, self.machine.path(self.config))
        self.machine.run("chown", "paas-runner:paas-runner", self.config)
        self.machine.run("chmod", "600", self.config)

    def drop_in(self, text):
        self.machine.path(DROP_IN).parent.mkdir(parents=True, exist_ok=True)
        self.machine.path(DROP_IN).write_text(text)
        self.machine.run("systemctl", "daemon-reload")

    async def systemctl(self, *words, fails=False):
        return await asyncio.to_thread(self.machine.run, "systemctl", *words, self.name, fails=fails)

    async def show(self):
        output = await self.systemctl("show")
        return dict(line.split("=", 1) for line in output.splitlines() if "=" in line)

    async def until(self, **properties):
        async with asyncio.timeout(60):
            while not properties.items() <= (shown := await self.show()).items():
                await asyncio.sleep(0.2)
        return shown

    def journal(self, *fields):
        """The entries of the journal that have these fields."""
        lines = self.machine.run("journalctl", *fields, "--output=json", "--no-pager").splitlines()
        return [json.loads(line) for line in lines]

    def records(self):
        return self.machine.run("journalctl", "--unit", self.name, "--output=cat", "--no-pager")

    async def command(self, *words):
        """The document that a command of `paas-runner` prints, called as the service's user."""
        as_user = ("runuser", "--user", "paas-runner", "--", "env", f"STATE_DIRECTORY={self.state}")
        printed = await asyncio.to_thread(self.machine.run, *as_user, "paas-runner", *words, self.config)
        return json.loads(printed)
