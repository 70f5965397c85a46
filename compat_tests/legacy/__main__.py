"""Whether files of Keras 2 mean what they meant.

    python -m compat_tests.legacy [--only NAME] [--folder FOLDER]

`tf_keras`, in a process of its own, makes a model of every layer with every argument, of every
optimizer (those of `optimizers.legacy` too), schedule, loss and metric, trains it for two steps,
saves it as `.h5` and `.keras`, and trains on. torchkeras reads the files. Compared are names,
predictions (1e-5), the count of steps, the names in logs, the losses of five further steps and the
predictions after them (1e-4). Ends in `N/N` of the files, and fails if one is read as something
else without a word. A file may be refused by a `FileFormatError`, and a change of meaning be told
in a warning.

Needs `tf_keras` and TensorFlow: `pip install 'torchkeras[tensorflow]'`, or beside `tensorflow-cpu`
`pip install --no-deps tf_keras`.
"""

from __future__ import annotations

import argparse
import collections
import importlib.util
import pathlib
import subprocess
import sys
import tempfile

from .reader import differences


def main() -> int:
    """Write, read, report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--folder", type=pathlib.Path, help="where files are kept and found again")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or pathlib.Path(temporary)
        if not folder.exists() or not any(folder.iterdir()):
            if importlib.util.find_spec("tf_keras") is None:
                sys.exit(__doc__.rpartition("\n\n")[2])
            writer = [sys.executable, "-m", f"{__package__}.writer", folder]
            subprocess.run([*writer, "--only", arguments.only], check=True)
        counts = collections.Counter()
        for case in sorted(folder.iterdir()):
            for title, word, details in differences(case):
                if arguments.only in title:
                    counts[word] += 1
                    if word != "same":
                        print(f"{word} {title}: {details}", flush=True)
    read = counts.total() - counts["unwritten"]
    print(f"{counts['same']}/{read} the same;", dict(counts))
    return int(not read or counts["SILENT"] + counts["failed"] > 0)


if __name__ == "__main__":
    sys.exit(main())
