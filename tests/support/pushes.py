"""Pushes of tests: a function as one."""


class AsPush:
    """`executors.build_context.Push` by any coroutine function."""

    def __init__(self, function) -> None:
        self._function = function

    async def __call__(self, tree, url, **more):
        await self._function(tree, url, **more)

    async def aclose(self):
        return None
