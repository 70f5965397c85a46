"""Whether files of Keras 2 mean what they meant.

    python -m compat_tests.legacy [--only NAME] [--formats FORMATS] [--folder FOLDER] [--control]

`tf_keras`, in a process of its own, makes a model of every layer with every argument, of every
optimizer (those of `optimizers.legacy` too), schedule, loss and metric, and of what else the
modules in `writer.SOURCES` have; trains it for two steps, saves it in each format, and trains on.
torchkeras reads the files. Compared are names, predictions (1e-5), the count of steps, the names in
logs, the losses of five further steps and the predictions after them (1e-4).

Ends in `N/N`: of the files that are not listed in `outcomes.py`, how many are read as the same
model. A listed one has to be refused, or told of in a warning, by the words listed. `--control`
then plants faults in the reader and shows that each is noticed (see `control.py`).

Needs `tf_keras` and TensorFlow: `pip install 'torchkeras[tensorflow]'`, or beside `tensorflow-cpu`
`pip install --no-deps tf_keras`.
"""

from __future__ import annotations

import argparse
import collections
import importlib.util
import logging
import pathlib
import subprocess
import sys
import tempfile

from .outcomes import OUTCOMES, outcome
from .reader import differences


def main() -> int:
    """Write, read, report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--formats", default="", help="keys of `writer.FORMATS` instead of theirs")
    parser.add_argument("--folder", type=pathlib.Path, help="where files are kept and found again")
    parser.add_argument("--control", action="store_true", help="plant faults afterwards")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)  # that models were not compiled
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or pathlib.Path(temporary)
        if not folder.exists() or not any(folder.iterdir()):
            if importlib.util.find_spec("tf_keras") is None:
                sys.exit(__doc__.rpartition("\n\n")[2])
            writer = [sys.executable, "-m", f"{__package__}.writer", folder]
            options = ["--only", arguments.only, "--formats", arguments.formats]
            subprocess.run([*writer, *options], check=True)
        wrong = _report(folder, arguments.only, arguments.formats)
        if arguments.control:
            control = [sys.executable, "-m", f"{__package__}.control", folder]
            wrong |= subprocess.run(control).returncode != 0
    return int(wrong)


def _report(folder: pathlib.Path, only: str, formats: str) -> bool:
    """Print what is not as it should be, and the counts; return whether there is any of it."""
    counts, listed, met = collections.Counter(), collections.Counter(), set()
    for case in sorted(folder.iterdir()):
        for title, word, details in differences(case):
            if only not in title:
                continue
            row = outcome(title)
            met.add(row)
            if row is None:
                counts[word] += 1
                if word != "same":
                    print(f"{word} {title}: {details}", flush=True)
            elif word == row.word and row.message in details:
                listed[word] += 1
            else:
                counts["listed otherwise"] += 1
                print(f"{word}, listed as {row.word} ({row.message}) {title}: {details}")
    if not (only or formats):
        for row in set(OUTCOMES) - met:
            counts["listed, not met"] += 1
            print(f"listed as {row.word}, but no file is called so: {row.title}")
    print("listed, with a reason:", dict(listed), "others:", dict(counts))
    print(f"{counts['same']}/{counts.total()}")
    return counts["same"] != counts.total() or not counts


if __name__ == "__main__":
    sys.exit(main())
