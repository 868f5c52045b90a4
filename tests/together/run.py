"""`python -m tests.together.run --takeovers 100`: the course at length, for docs/reliability.md."""

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from tests.together.course import Blow, Course
from tests.together.world import world

STEPS = (1, 2, 3, 5, 10, 15, 17, 20)


async def played(takeovers, seed, *, members=3, tell=lambda _text: None):
    """The course and its world, judged."""
    with tempfile.TemporaryDirectory(prefix="paas-runner-together-") as folder:
        async with world(Path(folder)) as made:
            names = [f"member-{number}" for number in range(members)]
            made.add(*names)
            await made.start(*names)
            course = Course(made, random.Random(seed))
            async with made.flowing():
                await course.run(takeovers, tell=tell)
            await made.settled()
            await made.stop()
            made.judge()
            return course, made


def table(course):
    """Markdown: how many of each kind were over within so many seconds."""
    head = ["", "takeovers", *(f"≤ {step} s" for step in STEPS), "median", "worst"]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for blow in Blow:
        times = [takeover.seconds for takeover in course.takeovers if takeover.blow is blow]
        if times:
            steps = [
                str(sum(low < seconds <= high for seconds in times)) for low, high in pairwise((0, *STEPS))
            ]
            facts = [f"{statistics.median(times):.1f} s", f"{max(times):.1f} s"]
            lines.append(f"| {blow} | {len(times)} | {' | '.join([*steps, *facts])} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.together.run", description=__doc__)
    parser.add_argument("--takeovers", type=int, default=100)
    parser.add_argument("--members", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    begun = time.monotonic()

    def tell(text):
        print(f"{time.monotonic() - begun:6.0f} s  {text}", file=sys.stderr, flush=True)

    course, made = asyncio.run(played(given.takeovers, given.seed, members=given.members, tell=tell))
    hosts = len(made.sandbox.cloud.ledger.created)
    print(
        f"{len(course.takeovers)} takeovers and {course.databases_killed} killed databases, "
        f"{len(made.jobs)} jobs on {hosts} hosts: 0 lost, 0 leaked, 0 launched twice, "
        f"{len(made.late_deeds())} acts for a job that was another's by then, none of them twice "
        f"({time.monotonic() - begun:.0f} s)\n"
    )
    print(table(course))


if __name__ == "__main__":
    main()
