"""All definitions at once: loaded for a server, or examined for their author (spec prunner-api.md §1)."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice

import attrs

from paas_pipelines.definitions.conditions import Bounds, mistakes
from paas_pipelines.definitions.decoding import Decoder, KeyPath
from paas_pipelines.definitions.definition import Definition
from paas_pipelines.definitions.finding import find
from paas_pipelines.definitions.linking import linked, wrong
from paas_pipelines.definitions.pipeline_keys import definitions_of
from paas_pipelines.definitions.plugged import NOTHING_PLUGGED, Plugged
from paas_pipelines.definitions.reading import Complaint, DefinitionsError, read, refused
from paas_pipelines.definitions.scalars import quoted
from paas_pipelines.definitions.validation import doubts, faults

_FOLLOWING = ("unknown name ", "load: ", "is not declared", "is required", "four_eyes needs")
"""What may be right once all that is wrong already has been mended."""


_MOST_TOLD = 200
"""More of these are not looked for, of each pipeline and then at all: to find what was meant costs time."""


@attrs.frozen(kw_only=True)
class Examined:
    """What all files say; with complaints they are no definitions to go on with."""

    definitions: Mapping[str, Definition]
    complaints: Sequence[Complaint]
    """In the order in which prunner would meet them."""

    warnings: Sequence[Complaint]
    decoders: Mapping[str, Decoder]
    """By file: they know lines."""


def load(
    path: str | os.PathLike[str],
    pattern: str,
    *,
    bounds: Bounds = Bounds(),  # noqa: B008 - frozen
    plugged: Plugged = NOTHING_PLUGGED,
    unfit: Callable[[Examined], Iterable[Complaint]] = lambda _: (),
) -> Mapping[str, Definition]:
    """By name; raises `DefinitionsError` for what prunner would stop at, then for what is `unfit`."""
    examined = examine(path, pattern, bounds=bounds, plugged=plugged)
    for complaint in examined.complaints or unfit(examined):
        raise refused(complaint.file, complaint.text, complaint.line, complaint.remedy)
    return examined.definitions


def examine(
    path: str | os.PathLike[str],
    pattern: str,
    *,
    bounds: Bounds = Bounds(),  # noqa: B008 - frozen
    plugged: Plugged = NOTHING_PLUGGED,
) -> Examined:
    """Everything that is wrong, each with its place, and what is strange besides.

    Raises `DefinitionsError` where there are no files to look at: a plain name that does not exist.
    """
    definitions: dict[str, Definition] = {}
    complaints: list[Complaint] = []
    warnings: list[Complaint] = []
    decoders: dict[str, Decoder] = {}
    for file in find(path, pattern):
        decoder = decoders[file] = Decoder(file, plugged)
        try:
            _add(decoder, definitions)
        except DefinitionsError as error:
            complaints.append(error.complaint)
        complaints += decoder.complaints
        warnings += decoder.warnings
    definitions = linked(definitions)
    complaints += _of_automation(definitions, decoders, bounds)
    return Examined(definitions=definitions, complaints=complaints, warnings=warnings, decoders=decoders)


def _add(decoder: Decoder, definitions: dict[str, Definition]) -> None:
    """What a file has; its errors of decoding come before all that is said of its definitions."""
    for name, definition in definitions_of(decoder, read(decoder.name)).items():
        if before := definitions.get(name):
            text = f"pipeline {quoted(name)} was already declared in {before.source}"
            decoder.complain(text, decoder.line((name,)))
        else:
            definitions[name] = definition
            unknown = [at[1] for at in decoder.failed if at[:1] == (name,) and at[1:]]
            for at, reason in faults(definition, unknown):
                text = f"invalid pipeline definition {quoted(name)}: {reason}"
                decoder.complain(text, decoder.line((name, *at)))
            for at, reason in doubts(definition):
                decoder.warn(f"pipeline {quoted(name)}: {reason}", decoder.line((name, *at)))


def _of_automation(
    definitions: Mapping[str, Definition], decoders: Mapping[str, Decoder], bounds: Bounds
) -> list[Complaint]:
    """What only shows once all pipelines are known; nothing of those whose keys are wrong already."""
    found: list[tuple[str, KeyPath, str]] = list(wrong(definitions))
    for name, definition in definitions.items():
        has_failed = decoders[definition.source].has_failed((name,))
        if len(found) > _MOST_TOLD:
            break
        for at, reason in islice(mistakes(definition, definitions.get, bounds), _MOST_TOLD):
            if not (has_failed and any(words in reason for words in _FOLLOWING)):
                found.append((name, at, reason))
    complaints = []
    for name, at, reason in found:
        source = definitions[name].source
        text = f"invalid pipeline definition {quoted(name)}: {reason}"
        complaints.append(Complaint(file=source, line=decoders[source].line((name, *at)), text=text))
    return complaints
