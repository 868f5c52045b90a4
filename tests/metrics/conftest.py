"""A service in virtual time that is scraped."""

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from tests.support.operated_world import OperatedWorld

OPENMETRICS = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5"


class Scrape:
    """What was exposed at one moment."""

    def __init__(self, text, *, openmetrics=False):
        self.text = text
        self.families = list((read_openmetrics if openmetrics else read_text)(text))
        self.samples = [sample for family in self.families for sample in family.samples]

    def value(self, name, **labels):
        """The sum of all samples of that name with these labels."""
        found = [
            sample.value
            for sample in self.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
        assert found, (name, labels)
        return sum(found)

    def labels(self, name, label):
        return {sample.labels[label] for sample in self.samples if sample.name == name}


@pytest.fixture
def play(tmp_path):
    """Run a story in a world with a site, whose `scrape` gives what a Prometheus would get."""

    def play(story, **options):
        async def listening(world):
            async def scrape(accept="text/plain;version=0.0.4"):
                answer = await world.site.get("/metrics", Accept=accept)
                assert answer.status_code == 200
                openmetrics = "openmetrics" in answer.headers["content-type"]
                return Scrape(answer.text, openmetrics=openmetrics)

            world.scrape = scrape
            world.write(listen_address="127.0.0.1:9252")
            await story(world)

        OperatedWorld.play(tmp_path, listening, **options)

    return play
