"""Walk a graph of stages: ready ones only, the longest chain first, so many at a time."""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass
class Outcome(Generic[T]):
    """What became of each stage; in no group are those that an interruption kept from starting."""

    done: dict[str, T] = field(default_factory=dict)
    failed: dict[str, Exception] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)  # stage -> the failed stage that it descends from


def num_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0))


def chain_lengths(plan: Sequence[str], needs: Mapping[str, frozenset[str]]) -> dict[str, int]:
    """How many stages the longest chain from each stage to an end of the graph has, itself included; `plan` lists needs first."""
    lengths = dict.fromkeys(plan, 1)
    for name in reversed(plan):
        for need in needs[name]:
            lengths[need] = max(lengths[need], lengths[name] + 1)
    return lengths


def walk(
    plan: Sequence[str],
    needs: Mapping[str, frozenset[str]],
    run: Callable[[str], T],
    jobs: int,
    interrupt: Callable[[], object] = lambda: None,
    ended: Callable[[Outcome[T]], object] = lambda outcome: None,
) -> Outcome[T]:
    """Call `run(stage)` in `jobs` threads, each stage after all that it needs.

    A stage that raises stops its descendants, not the others. `ended` is called after each end, in this
    thread. On KeyboardInterrupt, or when `ended` raises, nothing more starts and `interrupt` is called; it
    should make running stages end soon, and the exception goes on when they have."""
    lengths = chain_lengths(plan, needs)
    place = {name: number for number, name in enumerate(plan)}
    waiting = {name: set(needs[name]) for name in plan}
    users: dict[str, list[str]] = {name: [] for name in plan}
    for name in plan:
        for need in needs[name]:
            users[need].append(name)
    ready = [name for name in plan if not waiting[name]]
    outcome: Outcome[T] = Outcome()
    running: dict[Future[T], str] = {}
    with ThreadPoolExecutor(jobs, thread_name_prefix="stage") as pool:
        try:
            while ready or running:
                ready.sort(key=lambda name: (-lengths[name], place[name]), reverse=True)
                while ready and len(running) < jobs:
                    name = ready.pop()
                    running[pool.submit(run, name)] = name
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    ready += _end(running.pop(future), future, waiting, users, outcome)
                    ended(outcome)
        except BaseException:
            interrupt()
            raise
    return outcome


def _end(name: str, future: "Future[T]", waiting: dict[str, set[str]], users: dict[str, list[str]], outcome: Outcome[T]) -> list[str]:
    """Enter one end; the stages that it makes ready."""
    error = future.exception()
    if isinstance(error, Exception):
        outcome.failed[name] = error
        _skip(users[name], name, users, outcome)
        return []
    if error is not None:
        raise error
    outcome.done[name] = future.result()
    for user in users[name]:
        waiting[user].discard(name)
    return [user for user in users[name] if not waiting[user] and user not in outcome.skipped]


def _skip(names: list[str], cause: str, users: dict[str, list[str]], outcome: Outcome[T]) -> None:
    todo = list(names)
    while todo:
        if (name := todo.pop()) not in outcome.skipped:
            outcome.skipped[name] = cause
            todo += users[name]
