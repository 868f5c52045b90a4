"""The manual's pages: programs as their parsers say them, the configuration as its reference does."""

import argparse
from collections.abc import Iterator, Sequence

import attrs
from roff import Page

from paas_runner.config.reference import Concern, KeyEntry, KeySection

CONFIGURATION = "paas-runner.toml"

_SEE_ALSO = (
    "`paas-runner`(1), `heptapod-paas-runner`(1), `paas-runner.toml`(5), and the documents in "
    "/usr/share/doc/paas-runner"
)
_FORMAT = (
    (
        "The configuration of `heptapod-paas-runner`(1) is GitLab Runner's `config.toml`. It is read at the "
        "start and at `paas-runner reload`; a wrong one starts nothing, each complaint has file and line."
    ),
    "Keys may be written in any case. Unknown ones are refused, with the nearest known one.",
    (
        "`$NAME` and `${NAME}` in texts and secrets are taken from the environment. A secret may also be "
        "`env:NAME`, `file:PATH`, `secret:KEY` (in the file that `secrets_file` names) or `credential:NAME` "
        "(of systemd's LoadCredential=). Relative paths begin at the configuration's folder."
    ),
    "`paas-runner check CONFIG` says what would not work, with `--show` what is in effect.",
)


@attrs.frozen(kw_only=True)
class Edition:
    """What all pages of one build have in common."""

    version: str
    date: str
    """As it stands at the foot of each page."""

    def program(self, parser: argparse.ArgumentParser) -> str:
        """The page of a program, with all of its commands."""
        summary = (parser.description or "").partition("\n")[0].rstrip(".")
        page = self._page(parser.prog, 1, summary[:1].lower() + summary[1:])
        page.heading("SYNOPSIS")
        page.verbatim(_usage(parser))
        page.heading("DESCRIPTION")
        page.paragraph(parser.description or "")
        page.heading("OPTIONS")
        _arguments(page, parser)
        page.epilog(parser.epilog or "")
        if commands := list(commands_of(parser)):
            page.heading("COMMANDS")
            for name, command, _ in commands:
                page.subheading(name)
                page.verbatim(_usage(command))
                page.paragraph(command.description or "")
                _arguments(page, command)
                page.epilog(command.epilog or "")
        page.heading("SEE ALSO")
        page.paragraph(_SEE_ALSO)
        return page.text()

    def configuration(self, sections: Sequence[KeySection]) -> str:
        """The page of the configuration file."""
        page = self._page(CONFIGURATION, 5, "configuration of PaaS Runner")
        page.heading("DESCRIPTION")
        for paragraph in _FORMAT:
            page.paragraph(paragraph)
        for section in sections:
            page.heading(section.title if section.header else section.title.upper())
            for entry in section.of(Concern.OURS):
                page.item(entry.key, _meaning(entry))
            for title, concern in (
                ("GitLab Runner's, handed on to the runner on the host as they are", Concern.FORWARDED),
                ("Other names, accepted with a warning", Concern.ALIAS),
                ("Accepted without effect", Concern.NOBODY),
            ):
                if entries := section.of(concern):
                    page.paragraph(f"{title}:")
                    _short(page, entries)
        page.heading("SEE ALSO")
        page.paragraph(_SEE_ALSO)
        return page.text()

    def _page(self, name: str, section: int, summary: str) -> Page:
        return Page(name=name, section=section, date=self.date, version=self.version, summary=summary)


def commands_of(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser, str]]:
    """The commands of a program in the order of its `--help`: name, parser, and what it says in one line."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            lines = {each.dest: each.help or "" for each in action._choices_actions}
            for name, command in action.choices.items():
                yield name, command, lines[name]
                for inner, parser_of_it, line in commands_of(command):
                    yield f"{name} {inner}", parser_of_it, line


def arguments_of(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """What a parser takes beside commands, and tells of."""
    for action in parser._actions:
        if not isinstance(action, argparse._SubParsersAction) and action.help != argparse.SUPPRESS:
            yield action


def _arguments(page: Page, parser: argparse.ArgumentParser) -> None:
    formatter = parser._get_formatter()
    for action in arguments_of(parser):
        page.item(_invocation(action), formatter._expand_help(action) if action.help else "")


def _invocation(action: argparse.Action) -> str:
    """`-l, --logging-level LEVEL`."""
    if action.choices and not action.metavar:
        value = f"{{{','.join(map(str, action.choices))}}}"
    else:
        value = str(action.metavar or action.dest.upper())
    if not action.option_strings:
        return value
    return ", ".join(action.option_strings) + ("" if action.nargs == 0 else f" {value}")


def _usage(parser: argparse.ArgumentParser) -> list[str]:
    """What `--help` begins with, for a page of 72 columns."""
    formatter = argparse.HelpFormatter(parser.prog, width=72)
    formatter.add_usage(parser.usage, parser._actions, parser._mutually_exclusive_groups, prefix="")
    return formatter.format_help().splitlines()


def _meaning(entry: KeyEntry) -> str:
    default = f"default: {entry.default}" if entry.default else ""
    facts = ", ".join(filter(None, (entry.accepts, "required" if entry.required else default)))
    return f"{entry.meaning}. ({facts})"


def _short(page: Page, entries: Sequence[KeyEntry]) -> None:
    """Names alone where there is no more to say of any of them than the title does."""
    if {entry.meaning for entry in entries} == {entries[0].meaning} and len(entries) > 1:
        page.paragraph(", ".join(f"`{entry.key}`" for entry in entries))
        return
    for entry in entries:
        page.item(entry.key, f"{entry.meaning}.")
