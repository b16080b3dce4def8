"""Walk a graph of stages: ready ones only, the longest chain first, so many at a time."""

import _thread
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import SimpleQueue
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
    running: set[str] = set()
    jobs = min(jobs, max(len(plan), 1))
    with _working(run, jobs, interrupt) as (todo, ends):
        while ready or running:
            ready.sort(key=lambda name: (-lengths[name], place[name]), reverse=True)
            while ready and len(running) < jobs:
                running.add(name := ready.pop())
                todo.put(name)
            end = ends.get()
            running.discard(end.name)
            ready += _enter(end, waiting, users, outcome)
            ended(outcome)
    return outcome


@dataclass
class _End(Generic[T]):
    """How a stage ended; without a name, that a thread did."""

    name: str = ""
    result: list[T] = field(default_factory=list)
    error: BaseException | None = None


@contextmanager
def _working(
    run: Callable[[str], T], jobs: int, interrupt: Callable[[], object]
) -> Iterator[tuple["SimpleQueue[str | None]", "SimpleQueue[_End[T]]"]]:
    """Threads that run what is put into the first queue and tell of it in the second; at the end they have ended.

    An interrupt strikes this thread between any two instructions, and would leave a lock of an executor, a
    future or a starting thread held for ever. So this thread touches queues that are one instruction each."""
    todo: SimpleQueue[str | None] = SimpleQueue()
    ends: SimpleQueue[_End[T]] = SimpleQueue()

    def work() -> None:
        while (name := todo.get()) is not None:
            try:
                ends.put(_End(name, [run(name)]))
            except BaseException as error:  # it goes on in the thread that waits
                ends.put(_End(name, error=error))
        ends.put(_End())

    def start() -> None:
        for number in range(jobs):
            try:
                threading.Thread(target=work, name=f"stage_{number}").start()
            except RuntimeError as error:  # the machine has no more threads to give
                ends.put(_End(name="a thread", error=error))
                for _ in range(number, jobs):
                    ends.put(_End())
                return

    _thread.start_new_thread(start, ())
    try:
        yield todo, ends
    except BaseException:
        interrupt()
        raise
    finally:
        for _ in range(jobs):
            todo.put(None)
        num_left = jobs
        while num_left:
            if not ends.get().name:
                num_left -= 1


def _enter(end: _End[T], waiting: dict[str, set[str]], users: dict[str, list[str]], outcome: Outcome[T]) -> list[str]:
    """Enter one end; the stages that it makes ready. Raises what is no failure of a stage."""
    if isinstance(end.error, Exception) and end.name in users:
        outcome.failed[end.name] = end.error
        _skip(users[end.name], end.name, users, outcome)
        return []
    if end.error is not None:
        raise end.error
    outcome.done[end.name] = end.result[0]
    for user in users[end.name]:
        waiting[user].discard(end.name)
    return [user for user in users[end.name] if not waiting[user] and user not in outcome.skipped]


def _skip(names: list[str], cause: str, users: dict[str, list[str]], outcome: Outcome[T]) -> None:
    todo = list(names)
    while todo:
        if (name := todo.pop()) not in outcome.skipped:
            outcome.skipped[name] = cause
            todo += users[name]
