"""Whoever watches a simulated world by its site: asks for everything each minute, and changes nothing."""

import asyncio

import attrs

from paas_runner.setting_types import ListenAddress
from tests.simulation.world import SimulatedWorld, Violation
from tests.support.site_in_process import SiteInProcess

EVERY_SECONDS = 60
PATHS = {"/health": {200}, "/ready": {200, 503}, "/metrics": {200}}


class Scraper:
    """Of one world, through all lives of its service."""

    def __init__(self, world: SimulatedWorld) -> None:
        self._world = world
        self._site = SiteInProcess()
        self.scrapes = 0
        read = world.configuration
        world.configuration = lambda: attrs.evolve(read(), listen_address=ListenAddress("127.0.0.1:9252"))
        world.sites = self._of_a_life

    def _of_a_life(self, life):
        self._site = site = SiteInProcess()
        return site.listen

    async def scrape(self) -> None:
        """Until it is cancelled; raises `Violation` for an answer that there must not be."""
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            for path, statuses in PATHS.items():
                if not self._site.open or self._world.life.dead:
                    continue
                answer = await self._site.get(path)
                if answer.status_code not in statuses:
                    raise Violation(f"{path} answers {answer.status_code}: {answer.text[:500]}")
                self.scrapes += 1
