"""Run the generated programs: `python -m compat_tests.programs --seed S --cases N --only TOPIC`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from .campaign import Campaign, report, write_program
from .topics import TOPICS

_CACHE = Path(__file__).resolve().parents[2] / ".cache" / "programs.sqlite"


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
    topics = options.only.split(",")
    unknown = set(topics) - set(TOPICS)
    if unknown:
        parser.error(f"no topic {', '.join(sorted(unknown))}; there are {', '.join(TOPICS)}")
    options.cache.parent.mkdir(exist_ok=True)
    campaign = Campaign(
        seed=options.seed,
        topics=topics,
        cache=None if options.fresh else options.cache,
        reduce_s=options.reduce,
        show=options.show,
        root=options.root,
    )
    started = time.monotonic()
    if options.case is not None:
        print(write_program(topics[0], options.case, options.seed))
        tallies = campaign.run_each([(topics[0], options.case)], 1)
    else:
        tallies = campaign.run(options.cases, options.jobs)
    complete = report(tallies)
    total = sum(tally.programs for tally in tallies.values())
    print(f"{total} programs of seed {options.seed} in {time.monotonic() - started:.0f} s")
    return 0 if complete else 1


if __name__ == "__main__":
    sys.exit(main())
