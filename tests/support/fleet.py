"""Several processes of one store that do nothing but share its sections, by a clock that a test turns."""

import attrs

from paas_runner.job.lease import Allotment, Mode, Tenancy, Tending
from paas_runner.leases import allotting, dividing
from paas_runner.testing.shared_memory import LeaseTable


@attrs.define
class Process:
    """One of them: what it knows, and what it would use."""

    serves: frozenset
    mode: Mode = Mode.STANDBY
    demand: Allotment = Allotment()
    total: Allotment = Allotment(jobs=10, provisioning=10, weight=0.0)
    heaviest: float = 0.0
    in_use: Allotment = Allotment()
    allotment: Allotment = Allotment()
    tenancy: Tenancy = Tenancy()
    free_since: dict = attrs.field(factory=dict)


class Fleet:
    """All of them; `moved` has what changed hands: when, what, from whom, to whom."""

    def __init__(self):
        self.now = 0.0
        self.table = LeaseTable(lambda: self.now)
        self.processes = {}
        self.moved = []

    def add(self, name, *sections, mode=Mode.STANDBY, **more):
        self.processes[name] = Process(frozenset(sections), mode, **more)

    def kill(self, name):
        del self.processes[name]

    def leave(self, name):
        del self.processes[name]
        self.table.leave(name)

    def turn(self, name):
        """As the keeper has it, with sections that are handed over in no time."""
        process = self.processes[name]
        self._tend(name)
        free = {runner for runner, lease in process.tenancy.leases.items() if lease.is_free}
        process.free_since = {runner: process.free_since.get(runner, self.now) for runner in free}
        free_for = {runner: self.now - since for runner, since in process.free_since.items()}
        moves = dividing.moves(process.tenancy, name, free_for)
        if moves.take or moves.hand_over:
            self._tend(name, take=moves.take, release=moves.hand_over)
        return moves

    def _tend(self, name, **moves):
        process = self.processes[name]
        holds = bool(process.tenancy.held_by(name)) or bool(moves.get("take"))
        wanted = allotting.wanted(
            process.tenancy,
            name,
            holds=holds,
            total=process.total,
            in_use=process.in_use,
            heaviest=process.heaviest,
        )
        process.allotment = process.allotment.at_most(wanted)
        before = {runner: row.holder for runner, row in self.table.rows.items()}
        process.tenancy = self.table.tend(
            name,
            Tending(
                name=name,
                version="1",
                mode=process.mode,
                serves=process.serves,
                total=process.total,
                wanted=wanted,
                least=process.in_use,
                **moves,
            ),
        )
        process.allotment = process.tenancy.members[name].allotment
        self.moved += [
            (self.now, runner, before.get(runner, ""), row.holder)
            for runner, row in self.table.rows.items()
            if row.holder != before.get(runner, "")
        ]

    def run(self, seconds, rng=None):
        """Everybody's turn every 5 seconds, in an order of its own each time."""
        for _ in range(int(seconds / 5)):
            order = list(self.processes)
            if rng:
                rng.shuffle(order)
            for name in order:
                self.turn(name)
            self.now += 5.0

    @property
    def holders(self):
        return {
            runner: row.holder
            for runner, row in self.table.rows.items()
            if row.holder and row.until > self.now
        }

    def held(self, name):
        return {runner for runner, holder in self.holders.items() if holder == name}

    def use(self, name):
        """Begin what the allotment lets it, as far as there is a demand, and never more."""
        process = self.processes[name]
        more = process.demand.at_most(process.allotment)
        process.in_use = process.in_use.at_least(more)

    def end_a_third(self, name):
        """Of its jobs, the last one, too, and all that is heavy."""
        process = self.processes[name]
        process.in_use = Allotment(
            jobs=process.in_use.jobs * 2 // 3,
            provisioning=process.in_use.provisioning * 2 // 3,
            weight=0.0,
        )
