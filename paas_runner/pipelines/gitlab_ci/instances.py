"""`parallel`: how a job becomes several, by number or by a matrix of variables, and what each is called."""

import itertools
import math
from collections.abc import Iterator, Mapping

import attrs

from paas_runner.job.variables import Variable
from paas_runner.pipelines.gitlab_ci.places import YamlPlace
from paas_runner.pipelines.gitlab_ci.sections import YamlSection

MOST_INSTANCES = 200


@attrs.frozen(kw_only=True)
class Instance:
    """One of the jobs that a job becomes: its name, and the variables that only it has."""

    name: str
    variables: tuple[Variable, ...] = ()


def only(name: str) -> tuple[Instance, ...]:
    """Of a job without `parallel`."""
    return (Instance(name=name),)


def parallel(place: YamlPlace) -> tuple[Instance, ...]:
    """`parallel`: a number, or a mapping with `matrix`; names and order are GitLab's."""
    if isinstance(place.value, YamlSection):
        combinations = matrix(place)
        names = matrix_names(place.job, combinations)
        return tuple(_numbered(names, combinations))
    total = place.number(most=MOST_INSTANCES, least=1)
    names = [f"{place.job} {index}/{total}" for index in range(1, total + 1)]
    return tuple(_numbered(names, [{}] * total))


def matrix(place: YamlPlace) -> list[dict[str, str]]:
    """The combinations of `matrix`, a list of mappings from variables to one or several values."""
    parts = place.known("matrix")
    if "matrix" not in parts:
        place.refuse("must be a number, or have a `matrix`")
    rows = [_values(row) for row in parts["matrix"].composed()]
    if sum(math.prod(map(len, row.values())) for row in rows) > MOST_INSTANCES:
        parts["matrix"].refuse(f"makes too many jobs (at most {MOST_INSTANCES})")
    found = [
        dict(zip(row, values, strict=True)) for row in rows for values in itertools.product(*row.values())
    ]
    if not found:
        parts["matrix"].refuse("makes no job: each variable needs a value")
    return found


def matrix_names(job: str, combinations: list[dict[str, str]]) -> list[str]:
    """`build: [amd64, debian]`."""
    return [f"{job}: [{', '.join(values.values())}]" for values in combinations]


def _values(row: YamlPlace) -> Mapping[str, tuple[str, ...]]:
    entries = row.entries()
    if not entries:
        row.refuse("has an entry without variables")
    return {
        entry.key.removeprefix(f"{row.key}."): tuple(value.text() for value in entry.composed())
        for entry in entries
    }


def _numbered(names: list[str], combinations: list[dict[str, str]]) -> Iterator[Instance]:
    numbers = enumerate(zip(names, combinations, strict=True), 1)
    for index, (name, values) in numbers:
        own = {**values, "CI_NODE_INDEX": str(index), "CI_NODE_TOTAL": str(len(names))}
        variables = tuple(Variable(key=key, value=value, public=True) for key, value in own.items())
        yield Instance(name=name, variables=variables)
