"""`include`: the files of the same repository put under the pipeline's own text; what else is named is told.

GitLab's order: what is included first, each file over those before it, at last the file's own keys.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

import attrs

from paas_runner.job.variables import expand
from paas_runner.pipelines.complaints import PipelineError, PipelineWarning
from paas_runner.pipelines.gitlab_ci.inputs import YamlFile, body
from paas_runner.pipelines.gitlab_ci.places import YamlPlace
from paas_runner.pipelines.gitlab_ci.rules import KnownVariables, decided
from paas_runner.pipelines.gitlab_ci.sections import YamlSection
from paas_runner.pipelines.gitlab_ci.yaml_text import parse
from paas_runner.pipelines.predefined import BRANCH

RepositoryFiles: TypeAlias = Callable[[str], Iterable[tuple[str, str]]]
"""The files that a path or a pattern (`*` within a folder, `**` also across) names, each with its text.

Paths count from the root of the repository. Raises `PipelineError` for what may not or cannot be read.
"""

MOST_INCLUDES = 150
_OTHERS = ("remote", "project", "template", "component", "artifact")
_ENDINGS = (".yml", ".yaml")


@attrs.define
class Assembly:
    """A pipeline's text being put together; `files` is None where there are none to read."""

    files: RepositoryFiles | None
    known: KnownVariables
    warnings: list[PipelineWarning]
    incomplete: bool = attrs.field(default=False, init=False)
    """Whether something was named that is not read: what seems to be missing may be in there."""

    _included: int = attrs.field(default=0, init=False)

    def document(self, file: YamlFile) -> YamlSection:
        """What a file says with all that it includes; raises `PipelineError`."""
        self.known.budget.take_text(file.text)
        own, found = parse(body(file, self.known.budget, self.warnings), self.known.budget, file=file.name)
        self.warnings += found
        if own.get("include") is None:
            return own.without("include")
        merged = YamlSection()
        line = own.lines["include"]
        include = YamlPlace(job="", key="include", value=own["include"], line=line, warnings=self.warnings)
        for place in include.composed():
            merged = merged.under(self._brought_by(place))
        return merged.under(own.without("include"))

    def _brought_by(self, place: YamlPlace) -> YamlSection:
        """What one entry of `include` brings in."""
        if not isinstance(place.value, YamlSection):
            kind = "remote" if place.text().startswith(("https://", "http://")) else "local"
            return self._local(place, place.text()) if kind == "local" else self._missing(place, kind, place)
        parts = place.known("local", "file", "ref", "inputs", "rules", *_OTHERS)
        kinds = [kind for kind in ("local", *_OTHERS) if kind in parts]
        if not kinds:
            place.refuse(f"wants one of {', '.join(('local', *_OTHERS))}")
        if "rules" in parts and decided(parts["rules"], self.known) is None:
            parts["rules"].warn(f"none holds for a push to `{BRANCH}`, nothing is included")
            return YamlSection()
        place = place.at(kinds[0])
        if kinds[0] != "local":
            return self._missing(place, kinds[0], parts[kinds[0]])
        inputs = parts["inputs"].section() if "inputs" in parts else None
        return self._local(place, parts["local"].text(), inputs)

    def _missing(self, place: YamlPlace, kind: str, what: YamlPlace) -> YamlSection:
        word = "remote file" if kind == "remote" else kind
        return self._left_out(place, f"the {word} `{what.text()}` is not read by the sandbox")

    def _left_out(self, place: YamlPlace, text: str) -> YamlSection:
        place.warn(f"{text}; what it brings is missing")
        self.incomplete = True
        return YamlSection()

    def _local(self, place: YamlPlace, path: str, inputs: YamlSection | None = None) -> YamlSection:
        files = self.files
        if files is None:
            return self._left_out(place, f"`{path}` cannot be read here, the pipeline came without files")
        path = expand(path, lambda name: self.known.value(name) or "")
        if not path.endswith(_ENDINGS):
            place.refuse(f"wants a file that ends with {' or '.join(_ENDINGS)}: `{path}`")
        merged = YamlSection()
        for name, text in _read(files, place, path):
            self._included += 1
            if self._included > MOST_INCLUDES:
                place.refuse(f"brings in more than {MOST_INCLUDES} files")
            merged = merged.under(self.document(YamlFile(text=text, name=name, inputs=inputs or {})))
        return merged


def _read(files: RepositoryFiles, place: YamlPlace, path: str) -> Iterator[tuple[str, str]]:
    """One after the other, so that too many are not all read."""
    found = False
    try:
        for file in files(path.lstrip("/")):
            found = True
            yield file
    except PipelineError as error:
        place.refuse(f"of `{path}`: {error}")
    if not found:
        place.refuse(f"names the file `{path}`, which does not exist")
