"""`/debug/pprof/`, with `--enable-profiling` alone and then without a token, as prunner has it (P077, P119).

What Go's profiles are for has an answer in Python's own terms, as text: which tasks of the event loop wait
where, where each thread is, and from the second question on which lines have taken the memory.
"""

import asyncio
import io
import sys
import threading
import traceback
import tracemalloc
from collections.abc import Callable, Mapping

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

_MOST_LINES = 100


def routes() -> list[Route]:
    """The index and one page for each profile."""
    return [
        Route("/debug/pprof", _index, methods=["GET"]),
        Route("/debug/pprof/", _index, methods=["GET"]),
        Route("/debug/pprof/{profile}", _profile, methods=["GET"]),
    ]


async def _index(_: Request) -> Response:
    lines = (f"/debug/pprof/{name}: {make.__doc__}" for name, make in _PROFILES.items())
    return PlainTextResponse("\n".join([*lines, ""]))


async def _profile(request: Request) -> Response:
    make = _PROFILES.get(request.path_params["profile"])
    return PlainTextResponse("404 page not found\n", 404) if make is None else PlainTextResponse(make())


def _tasks() -> str:
    """Tasks of the event loop, with what they wait for."""
    text = io.StringIO()
    for task in sorted(asyncio.all_tasks(), key=lambda task: task.get_name()):
        print(task.get_name(), file=text)
        task.print_stack(file=text)
    return text.getvalue()


def _threads() -> str:
    """Threads, with where they are."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return "\n".join(
        f"{names.get(ident, ident)}\n{''.join(traceback.format_stack(frame))}"
        for ident, frame in sys._current_frames().items()  # noqa: SLF001 - documented, in spite of its name
    )


def _heap() -> str:
    """Memory, by the lines that have taken it: since the first question, which only begins to count."""
    if not tracemalloc.is_tracing():
        tracemalloc.start()
        return "counting begins now: ask again\n"
    found = tracemalloc.take_snapshot().statistics("lineno")
    return "\n".join([f"traced: {tracemalloc.get_traced_memory()}", *map(str, found[:_MOST_LINES]), ""])


_PROFILES: Mapping[str, Callable[[], str]] = {"goroutine": _tasks, "threads": _threads, "heap": _heap}
"""Under Go's names where there is one."""
