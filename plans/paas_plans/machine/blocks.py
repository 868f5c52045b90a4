"""One block: its delays, its checks, and its sequences within their concurrency and tolerance."""

import attrs

from paas_plans.machine.owners import Gate, opened, run_once, with_looped, with_settled
from paas_plans.machine.parts import Turn, begin_row, ended, exchanged, is_, waiting, with_part
from paas_plans.machine.tally import Tallied, count
from paas_plans.plan import Block, CheckKind, Path, State, Status


def block_onwards(block: Block, path: Path, turn: Turn, *, may_launch: bool) -> Block:
    """What follows. `may_launch` is false once a continuous check of the plan has failed."""
    if block.state.status is Status.NOT_STARTED:
        block = _entered(block, path, turn)
    if block.state.status is not Status.RUNNING:
        return block
    has_begun = count(block.sequences, Status.NOT_STARTED) < len(block.sequences)
    block, gate = opened(block, path, turn, has_begun=has_begun)
    if gate is Gate.WAITING:
        return block
    if gate is Gate.BYPASSED:
        return ended(block, Status.COMPLETED, turn)
    if gate is Gate.OPEN:
        block = _launched(block, path, turn, may_launch=may_launch)
        if count(block.sequences, Status.RUNNING):
            return with_looped(block, path, turn)
        if _work_is_done(block):
            block = run_once(block, CheckKind.POST, path, turn)
        if is_(block.post_checks, Status.RUNNING):
            return with_looped(block, path, turn)
    block = run_once(block, CheckKind.DEFERRED, path, turn.of_deferred)
    if is_(block.deferred_checks, Status.RUNNING):
        return with_looped(block, path, turn) if gate is Gate.OPEN else block
    return _left(with_settled(block), path, turn)


def _entered(block: Block, path: Path, turn: Turn) -> Block:
    if turn.stopping:
        return ended(block, Status.STOPPED, turn)
    waits = waiting(block, path, block.entrance_delay, turn)
    return waits or attrs.evolve(block, state=State(status=Status.RUNNING, start=turn.now))


def _launched(block: Block, path: Path, turn: Turn, *, may_launch: bool) -> Block:
    if turn.stopping or not may_launch or is_(block.continuous_checks, Status.FAILED) or is_beyond(block):
        return block
    sequences = Tallied.of(block.sequences)
    free = block.concurrency - count(sequences, Status.RUNNING)
    for index in range(sequences.fresh, len(sequences)):
        if free <= 0:
            break
        if is_(sequences[index], Status.NOT_STARTED):
            begun = begin_row(sequences[index], (*path, "sequences", index), turn)
            sequences, free = exchanged(sequences, index, begun), free - 1
    return with_part(block, "sequences", sequences)


def is_beyond(block: Block) -> bool:
    """Whether more sequences have failed than are tolerated."""
    if block.tolerated_failures < 0:
        return False
    return count(block.sequences, Status.FAILED) > block.tolerated_failures


def _work_is_done(block: Block) -> bool:
    over = count(block.sequences, Status.COMPLETED, Status.FAILED)
    return over == len(block.sequences) and not is_beyond(block)


def _left(block: Block, path: Path, turn: Turn) -> Block:
    if is_(block.continuous_checks, Status.RUNNING):
        return block
    outcome = _outcome(block, turn)
    if outcome is Status.COMPLETED and (waits := waiting(block, path, block.exit_delay, turn)):
        return ended(block, Status.STOPPED, turn) if turn.stopping else waits
    return ended(block, outcome, turn)


def _outcome(block: Block, turn: Turn) -> Status:
    checks = (block.pre_checks, block.continuous_checks, block.post_checks, block.deferred_checks)
    if is_beyond(block) or any(is_(each, Status.FAILED) for each in checks):
        return Status.FAILED
    if _work_is_done(block) and (block.post_checks is None or is_(block.post_checks, Status.COMPLETED)):
        return Status.COMPLETED
    return Status.STOPPED if turn.stopping else Status.FAILED
