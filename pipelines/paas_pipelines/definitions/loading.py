"""All definitions at once: loaded for a server, or examined for their author (spec prunner-api.md §1)."""

import os
from collections.abc import Mapping, Sequence

import attrs

from paas_pipelines.definitions.decoding import Decoder
from paas_pipelines.definitions.definition import Definition
from paas_pipelines.definitions.finding import find
from paas_pipelines.definitions.reading import Complaint, DefinitionsError, read, refused
from paas_pipelines.definitions.scalars import quoted
from paas_pipelines.definitions.validation import doubts, faults


@attrs.frozen(kw_only=True)
class Examined:
    """What all files say; with complaints they are no definitions to go on with."""

    definitions: Mapping[str, Definition]
    complaints: Sequence[Complaint]
    """In the order in which prunner would meet them."""

    warnings: Sequence[Complaint]
    decoders: Mapping[str, Decoder]
    """By file: they know lines."""


def load(path: str | os.PathLike[str], pattern: str) -> Mapping[str, Definition]:
    """By name; raises `DefinitionsError` for what prunner would stop at."""
    examined = examine(path, pattern)
    for complaint in examined.complaints:
        raise refused(complaint.file, complaint.text, complaint.line, complaint.remedy)
    return examined.definitions


def examine(path: str | os.PathLike[str], pattern: str) -> Examined:
    """Everything that is wrong, each with its place, and what is strange besides.

    Raises `DefinitionsError` where there are no files to look at: a plain name that does not exist.
    """
    definitions: dict[str, Definition] = {}
    complaints: list[Complaint] = []
    warnings: list[Complaint] = []
    decoders: dict[str, Decoder] = {}
    for file in find(path, pattern):
        decoder = decoders[file] = Decoder(file)
        try:
            _add(decoder, definitions)
        except DefinitionsError as error:
            complaints.append(error.complaint)
        complaints += decoder.complaints
        warnings += decoder.warnings
    return Examined(definitions=definitions, complaints=complaints, warnings=warnings, decoders=decoders)


def _add(decoder: Decoder, definitions: dict[str, Definition]) -> None:
    """What a file has; its errors of decoding come before all that is said of its definitions."""
    for name, definition in decoder.definitions(read(decoder.file)).items():
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
