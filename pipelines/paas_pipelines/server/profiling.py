"""`/debug/pprof/`, with `--enable-profiling` alone and then without a token, as prunner has it (P077, P119).

What Go's profiles are for has an answer in Python's own terms, as text: which tasks of the event loop wait
where, where each thread is, and from the second question on which lines have taken the memory.
"""

import asyncio
import io
import sys
import traceback
import tracemalloc

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

_MOST_LINES = 100


def route() -> Route:
    """The index, and a page for each profile."""
    return Route("/debug/pprof/{profile:path}", _profile, methods=["GET"])


async def _profile(request: Request) -> Response:
    text = io.StringIO()
    match request.path_params["profile"]:
        case "":
            text.write("goroutine: tasks of the event loop\nthreads\nheap: lines by the memory they took\n")
        case "goroutine":
            for task in asyncio.all_tasks():
                print(task.get_name(), file=text)
                task.print_stack(file=text)
        case "threads":
            for frame in sys._current_frames().values():  # noqa: SLF001 - documented, in spite of its name
                print(*traceback.format_stack(frame), file=text)
        case "heap" if tracemalloc.is_tracing():
            for line in tracemalloc.take_snapshot().statistics("lineno")[:_MOST_LINES]:
                print(line, file=text)
        case "heap":
            tracemalloc.start()
            text.write("counting begins now: ask again\n")
        case _:
            return PlainTextResponse("404 page not found\n", 404)
    return PlainTextResponse(text.getvalue())
