"""Manual pages and completion for shells, made from what the programs themselves go by.

    python packaging/manual/build.py [--packages FOLDER] [ROOT]    writes below ROOT; dist/manual by default

ROOT gets `usr/share/man/…` and the places where bash, zsh and fish look. With --packages the programs are
those of that folder, instead of those that this Python has. The date is $SOURCE_DATE_EPOCH, or today.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]


def main(arguments: Sequence[str] | None = None) -> int:
    """Build, and print the path of each file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("root", type=Path, nargs="?", default=PROJECT / "dist" / "manual", metavar="ROOT")
    parser.add_argument("--packages", type=Path, default=PROJECT, metavar="FOLDER")
    chosen = parser.parse_args(arguments)
    sys.path.insert(0, str(chosen.packages))
    for place, text in sorted(_everything()):
        path = chosen.root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(path)
    return 0


def _everything() -> Sequence[tuple[str, str]]:
    """The place and the text of each file; the programs are imported from here on."""
    from completion import completions
    from pages import CONFIGURATION, Edition

    import paas_runner
    from paas_runner import cli
    from paas_runner.config.reference import reference
    from paas_runner.executor.contract import installed
    from paas_runner.inner.cli import parser as inner_parser
    from register.commands import register_parser

    now = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", time.time())), UTC)
    edition = Edition(version=f"paas-runner {paas_runner.__version__}", date=now.date().isoformat())
    files = [(f"usr/share/man/man5/{CONFIGURATION}.5", edition.configuration(reference(installed())))]
    for parser in (cli.commands_parser(), cli.service_parser(), register_parser(), inner_parser()):
        files.append((f"usr/share/man/man1/{parser.prog}.1", edition.program(parser)))
        files += completions(parser)
    return files


if __name__ == "__main__":
    sys.exit(main())
