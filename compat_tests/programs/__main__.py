"""Run the generated programs: `python -m compat_tests.programs --seed S --cases N --only TOPIC`."""

from __future__ import annotations

import argparse
import queue
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from .compare import Difference
from .drawing import Draw
from .reasons import reason_for
from .running import Memory, Pair
from .topics import TOPICS

_CACHE = Path(__file__).resolve().parents[2] / ".cache" / "programs.sqlite"


@dataclass
class Tally:
    """What became of a topic's programs."""

    programs: int = 0
    finished: int = 0  # ran to their end on Keras, and gave the same here
    refused: int = 0  # ended in the same exception on both
    explained: Counter[str] = field(default_factory=Counter)
    unstable: int = 0  # Keras itself differs from run to run
    different: list[tuple[str, Difference]] = field(default_factory=list)


def write_program(topic: str, seed: str, number: int) -> str:
    """The program of that number."""
    return TOPICS[topic].program(Draw(f"{seed}/{topic}/{number}"))


def _cases(topics: Sequence[str], count: int) -> Iterator[tuple[str, int]]:
    """Topics by turns."""
    for i in range(count):
        yield topics[i % len(topics)], i // len(topics)


def _work(jobs: queue.SimpleQueue, options: argparse.Namespace, tallies: dict[str, Tally]) -> None:
    memory = Memory(None if options.fresh else options.cache)
    preload = sorted({m for t in options.only for m in getattr(TOPICS[t], "PRELOAD", ())})
    pair = Pair(memory, tuple(preload), options.root)
    try:
        while (job := jobs.get()) is not None:
            topic, number = job
            program = write_program(topic, options.seed, number)
            found, ended = pair.difference(program)
            tally = tallies[topic]
            tally.programs += 1
            if found is None:
                tally.finished += ended
                tally.refused += not ended
            elif (reason := reason_for(found)) is not None:
                tally.explained[reason.sentence] += 1
            elif not pair.is_stable(program):
                tally.unstable += 1
            else:
                signature = found.signature
                known = {d.signature for t in tallies.values() for _, d in t.different}
                tally.different.append((f"{topic} {number}", found))
                print(f"{topic} {number} differs: {signature}", flush=True)
                if options.reduce and signature not in known:
                    program = pair.reduce(program, found, options.reduce, reason_for)
                    found = pair.difference(program)[0] or found
                    print(describe(program, found), flush=True)
                elif options.show:
                    print(describe(program, found), flush=True)
    finally:
        pair.close()


def describe(program: str, difference: Difference) -> str:
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
            f"  {tally.explained.total():9}  {tally.unstable:8}  {len(tally.different):9}"
        )
    reasons = sum((tally.explained for tally in tallies.values()), Counter())
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


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m compat_tests.programs", description=__doc__)
    parser.add_argument("--seed", default="0", help="any text; equal seeds write equal programs")
    parser.add_argument("--cases", type=int, default=500, help="programs over all topics together")
    parser.add_argument("--only", default=",".join(TOPICS), help="topics, with commas")
    parser.add_argument("--case", type=int, help="this number of one topic alone; prints it")
    parser.add_argument("--reduce", type=float, default=60, metavar="S", help="seconds; 0: never")
    parser.add_argument("--show", action="store_true", help="print every program that differs")
    parser.add_argument("--jobs", type=int, default=2, help="pairs of processes")
    parser.add_argument("--fresh", action="store_true", help="believe no transcript kept of Keras")
    parser.add_argument("--cache", type=Path, default=_CACHE, help="where transcripts are kept")
    parser.add_argument("--root", type=Path, help="the folder to import torchkeras from")
    options = parser.parse_args(arguments)
    options.only = options.only.split(",")
    unknown = set(options.only) - set(TOPICS)
    if unknown:
        parser.error(f"no topic {', '.join(sorted(unknown))}; there are {', '.join(TOPICS)}")
    if not options.fresh:
        options.cache.parent.mkdir(exist_ok=True)
    tallies = {topic: Tally() for topic in options.only}
    jobs: queue.SimpleQueue = queue.SimpleQueue()
    if options.case is not None:
        print(write_program(options.only[0], options.seed, options.case))
        jobs.put((options.only[0], options.case))
        options.jobs = 1
    else:
        for job in _cases(options.only, options.cases):
            jobs.put(job)
    started = time.monotonic()
    with ThreadPoolExecutor(options.jobs) as pool:
        for _ in range(options.jobs):
            jobs.put(None)
        workers = [pool.submit(_work, jobs, options, tallies) for _ in range(options.jobs)]
        for worker in workers:
            worker.result()
    complete = report(tallies)
    total = sum(tally.programs for tally in tallies.values())
    print(f"{total} programs of seed {options.seed} in {time.monotonic() - started:.0f} s")
    return 0 if complete and (total or options.cases == 0) else 1


if __name__ == "__main__":
    sys.exit(main())
