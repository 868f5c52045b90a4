"""The tables `[runners.tags.NAME]`: hosts of jobs with a tag, where these are not the section's own.

What a table may say depends on the executor; which of them decides about a job does not.
"""

from collections.abc import Collection, Iterable, Sequence

import attrs
import structlog

from paas_runner.job.images import InvalidReferenceError, parse
from paas_runner.job.job_tags import tag_among, tells_tags
from paas_runner.job.payload import Payload
from paas_runner.settings import setting

log = structlog.stdlib.get_logger(__name__)


@attrs.frozen(kw_only=True)
class TagHosts:
    """Of `clever-docker`; what is not said here is as in the section."""

    flavor: str | None = setting(
        "size of a host when the job names none, instead of `cc_default_flavor`", default=None
    )
    zone: str | None = setting("where hosts run, instead of the section's zones", default=None)
    zones: Sequence[str] = setting("the same, in the order of trying; instead of `zone`", factory=tuple)
    image: str | None = setting(
        "image of the inner runner, instead of `heptapod_runner_main_image`", default=None
    )

    @property
    def places(self) -> Sequence[str]:
        """Where its hosts may run, the best place first; empty where the section says it."""
        return self.zones or ((self.zone,) if self.zone else ())

    def problems(self) -> Iterable[tuple[str, str]]:
        """Contradictions, and what says nothing."""
        for key in ("flavor", "zone", "image"):
            if getattr(self, key) == "":
                yield key, "must not be empty: without the key it is as in the section"
        if self.zones and self.zone:
            yield "zones", "there is `zone`, too; keep one"
        if self.image:
            yield from problems_of_image(self.image)


@attrs.frozen(kw_only=True)
class TagImage:
    """Of `local-docker`: size and place are the engine's, the image alone differs."""

    image: str = setting("image of the inner runner, instead of `heptapod_runner_main_image`")

    def problems(self) -> Iterable[tuple[str, str]]:
        """An image that has no such name."""
        yield from problems_of_image(self.image)


class TagTables:
    """The tags that have a table; without any no job is looked at, and each is as the section says."""

    def __init__(self, runner: str, tags: Collection[str]) -> None:
        self._runner = runner
        self._tags = tags
        self._told = False

    def deciding(self, payload: Payload) -> str:
        """The first of the job's tags that has a table, empty for none; raises `JobRefusedError`.

        That the coordinator does not say what tags jobs have is logged once.
        """
        if not self._tags:
            return ""
        if not (self._told or tells_tags(payload)):
            self._told = True
            log.warning("tags_not_told", runner=self._runner)
        return tag_among(payload, self._tags)


def problems_of_image(name: str) -> Iterable[tuple[str, str]]:
    """What is wrong with the key `image` of that value."""
    try:
        parse(name)
    except InvalidReferenceError as error:
        yield "image", f"is no image name: {error}"
