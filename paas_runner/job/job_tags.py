"""The tags that a job was given to choose its runner by, as far as its payload says them. Pure.

GitLab 19.3 and later send them as the predefined variable `CI_JOB_TAGS`, a JSON array of texts such as
`["tag_1", "tag_2"]` (docs.gitlab.com, "Predefined CI/CD variables reference"); earlier ones do not say them.
That array is what is meant to be read. The list as the coordinator's own language would print it, and tags
with commas or blanks between them, as `CI_RUNNER_TAGS` had them once, are understood as far as they can be.
"""

import re
from collections.abc import Container, Sequence

from paas_runner import foreign_json
from paas_runner.job.failure import Failure, FailureReason, JobRefusedError
from paas_runner.job.payload import Payload

TAGS_VARIABLE = "CI_JOB_TAGS"
SINCE = "19.3"
"""The version of GitLab from which on it is there."""

MOST_CHARACTERS = 32_768
"""GitLab's own bounds, 50 tags of a job and 255 characters of a tag, leave half of that unused."""

_BETWEEN = re.compile(r"[,\r\n]+")
_ESCAPE = re.compile(r"\\(.)")


def tells_tags(payload: Payload) -> bool:
    """Whether the job's coordinator says what tags a job has, be it that it has none."""
    return any(variable.key == TAGS_VARIABLE for variable in payload.variables)


def tags_of(payload: Payload) -> Sequence[str]:
    """The job's tags in its order; none where its coordinator does not tell them.

    Of several variables of that name the first counts: the coordinator's own come first in a payload, before
    those of any author. Its value is taken literally. Raises `JobRefusedError` where it is too long to be a
    list of tags.
    """
    said = next((each.value for each in payload.variables if each.key == TAGS_VARIABLE), "")
    if len(said) > MOST_CHARACTERS:
        text = (
            f"The variable {TAGS_VARIABLE} is no list of tags: it has more than {MOST_CHARACTERS} characters."
        )
        raise JobRefusedError(Failure(reason=FailureReason.SCRIPT, text=text))
    return parsed(said)


def tag_among(payload: Payload, known: Container[str]) -> str:
    """The first of the job's tags that is `known`, empty for none; raises `JobRefusedError`."""
    return next((tag for tag in tags_of(payload) if tag in known), "")


def parsed(said: str) -> Sequence[str]:
    """The tags in the variable's value, whatever it is: what is no text, or empty, is none."""
    said = said.strip()
    try:
        found = foreign_json.loads(said.encode(errors="replace")) if said.startswith("[") else None
    except ValueError:
        found = None
    if not isinstance(found, list):
        found = _loosely(said)
    return [tag for each in found if isinstance(each, str) and (tag := each.strip())]


def _loosely(said: str) -> Sequence[str]:
    inner = said[1:-1] if said.startswith("[") and said.endswith("]") else said
    parts = _BETWEEN.split(inner) if _BETWEEN.search(inner) else inner.split()
    return [_unquoted(part.strip()) for part in parts]


def _unquoted(part: str) -> str:
    quoted = len(part) > 1 and part[0] == part[-1] and part[0] in "\"'"
    return _ESCAPE.sub(r"\1", part[1:-1]) if quoted else part
