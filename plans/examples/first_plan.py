"""The first plan of the documentation: greets three planets, two at a time.

    python first_plan.py

It shows a plugin, a plan, and what becomes of both. `plans.db` has it afterwards: `paas-plans list plans.db`.
"""

import asyncio

from paas_plans import Action, BasePlugin, Builder, Context, Registry, SQLiteStore, Workstream, items


class Greet(BasePlugin):
    name = "example.greet"
    request_type = response_type = str

    async def execute(self, request: str, context: Context) -> str:
        return f"Hello, {request}!"


async def main() -> None:
    build = Builder("First plan", "Greets planets.").block("planets", "Inner ones.", concurrency=2)
    for planet in ("Mercury", "Venus", "Earth"):
        build.sequence(planet, "One of them.").action("greet", "Say hello.", Greet.name, planet).up()
    async with Workstream(SQLiteStore("plans.db"), Registry(Greet())) as workstream:
        plan = await workstream.run(build.plan())
    print(plan.name, "is", plan.state.status.words)
    for action in items(plan, Action):
        print(action.attempts[-1].response)


asyncio.run(main())
