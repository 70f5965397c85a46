"""Run many programs and tell what became of each."""

from __future__ import annotations

import queue
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from .compare import Difference
from .drawing import Draw
from .running import Memory, Pair
from .topics import PRELOAD, TOPICS

__all__ = ["Campaign", "Tally", "case_of", "report", "write_program"]


@dataclass
class Tally:
    """What became of a topic's programs."""

    programs: int = 0
    finished: int = 0  # ran to their end on Keras, and gave the same here
    refused: int = 0  # ended in the same exception on both
    explained: int = 0  # differ only where a reason says so
    reasons: Counter[str] = field(default_factory=Counter)
    unstable: int = 0  # Keras itself differs from run to run
    different: list[tuple[str, Difference]] = field(default_factory=list)


def write_program(topic: str, number: int, seed: str) -> str:
    """The program of a topic that has this number."""
    return TOPICS[topic].program(Draw(f"{seed}/{topic}/{number}"))


def case_of(topics: Sequence[str], index: int) -> tuple[str, int]:
    """Topic and number of the program that is run at this place: topics take turns."""
    return topics[index % len(topics)], index // len(topics)


@dataclass
class Campaign:
    """Programs of some topics, and what became of them.

    Args:
        seed: Any text; equal seeds write equal programs.
        topics: Names of `TOPICS`.
        cache: The file that keeps Keras's transcripts; `None` keeps none.
        reduce_s: For how long a program that differs in a new way is cut down; 0: not at all.
        show: Whether programs that differ are printed where they are not cut down.
        root: The folder to import torchkeras from, if another.
    """

    seed: str
    topics: Sequence[str] = tuple(TOPICS)
    cache: Path | None = None
    reduce_s: float = 0
    show: bool = False
    root: Path | None = None
    tallies: dict[str, Tally] = field(init=False)

    def __post_init__(self) -> None:
        self.tallies = {topic: Tally() for topic in self.topics}

    def run(self, count: int, jobs: int = 2) -> dict[str, Tally]:
        """Run so many programs, topics by turns, in so many pairs of processes."""
        return self.run_each([case_of(self.topics, i) for i in range(count)], jobs)

    def run_each(self, cases: Sequence[tuple[str, int]], jobs: int) -> dict[str, Tally]:
        """Run the programs of these topics and numbers."""
        waiting: queue.SimpleQueue[tuple[str, int] | None] = queue.SimpleQueue()
        for case in [*cases, *[None] * jobs]:
            waiting.put(case)
        with ThreadPoolExecutor(jobs) as pool:
            for worker in [pool.submit(self._work, waiting) for _ in range(jobs)]:
                worker.result()
        return self.tallies

    def _work(self, waiting: queue.SimpleQueue) -> None:
        pair = Pair(Memory(self.cache), PRELOAD, self.root)
        try:
            while (case := waiting.get()) is not None:
                self._judge(pair, *case)
        finally:
            pair.close()

    def _judge(self, pair: Pair, topic: str, number: int) -> None:
        program = write_program(topic, number, self.seed)
        verdict = pair.judge(program)
        tally = self.tallies[topic]
        tally.programs += 1
        if verdict.difference is None:
            tally.explained += bool(verdict.reasons)
            tally.finished += verdict.ended and not verdict.reasons
            tally.refused += not verdict.ended and not verdict.reasons
            tally.reasons.update(set(verdict.reasons))
        elif not pair.is_stable(program):
            tally.unstable += 1
        else:
            self._tell(pair, f"{topic} {number}", program, verdict.difference)
            tally.different.append((f"{topic} {number}", verdict.difference))

    def _tell(self, pair: Pair, name: str, program: str, found: Difference) -> None:
        print(f"{name} differs: {found.signature}", flush=True)
        known = {d.signature for t in self.tallies.values() for _, d in t.different}
        if self.reduce_s and found.signature not in known:
            program = pair.reduce(program, found, self.reduce_s)
            found = pair.judge(program).difference or found
        elif not self.show:
            return
        print(_described(program, found), flush=True)


def _described(program: str, difference: Difference) -> str:
    """A program and where its runs part."""
    route = f" ({difference.route})" if difference.route else ""
    where = ""
    if difference.ours.failure is not None:
        where = f"\n              at {difference.ours.failure.where}"
    return (
        f"{'-' * 80}\n{program}{'-' * 80}\n"
        f"keras{route}: {difference.expected[:600]}\n"
        f"torchkeras: {difference.actual[:600]}{where}\n"
    )


def report(tallies: dict[str, Tally]) -> bool:
    """Print the table; whether every program is accounted for."""
    print(f"{'topic':<14}programs  finished  refused  explained  unstable  different")
    for topic, tally in tallies.items():
        print(
            f"{topic:<14}{tally.programs:8}  {tally.finished:8}  {tally.refused:7}"
            f"  {tally.explained:9}  {tally.unstable:8}  {len(tally.different):9}"
        )
    reasons = sum((tally.reasons for tally in tallies.values()), Counter())
    for sentence, count in reasons.most_common():
        print(f"{count:6}  {sentence}")
    signatures = Counter(d.signature for t in tallies.values() for _, d in t.different)
    for signature, count in signatures.most_common():
        examples = [n for t in tallies.values() for n, d in t.different if d.signature == signature]
        print(f"{count:6}  {signature}: {', '.join(examples[:4])}")
    idle = [topic for topic, tally in tallies.items() if not tally.finished]
    if idle:
        print(f"No program of {', '.join(idle)} ran to its end.")
    return not idle and not signatures
