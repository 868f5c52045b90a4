"""The site of a service without sockets: its application, asked in process, where it would be."""

import httpx

from paas_runner.http import Exchanges, Http
from paas_runner.web.listening import ListenError


class SiteInProcess:
    """`edges` for a service; `get` asks whatever it serves."""

    def __init__(self):
        self.open = {}
        """By address."""
        self.taken = set()
        """What nobody may listen on."""

    def edges(self, *, rng, transport):
        """What a service needs to be asked, and to hear of its own calls."""
        exchanges = Exchanges()
        connect = Http(rng=rng, transport=transport, on_exchange=exchanges)
        return {"connect": connect, "exchanges": exchanges, "listen": self.listen}

    async def listen(self, place, app):
        address = str(place)
        if address in self.taken or address in self.open:
            raise ListenError(f'`listen_address` = "{address}" cannot be listened on: taken')
        self.open[address] = app
        return _Open(self, address)

    async def get(self, path, **headers):
        [app] = self.open.values()
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://site.test"
        ) as client:
            return await client.get(path, headers=headers)


class _Open:
    def __init__(self, sites, address):
        self._sites = sites
        self.address = address

    async def aclose(self):
        del self._sites.open[self.address]
