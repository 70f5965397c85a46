"""The machinery of generated programs: what it compares, how it reduces, that it notices."""

from __future__ import annotations

import operator
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import keras
import pytest

import torchkeras
from compat_tests.programs import campaign
from compat_tests.programs.campaign import Campaign
from compat_tests.programs.compare import compare, differences
from compat_tests.programs.control import FAULTS
from compat_tests.programs.drawing import HANDOVER, Draw, assemble, parts_of
from compat_tests.programs.engines import Failure, Transcript
from compat_tests.programs.reasons import REASONS
from compat_tests.programs.reducing import reduced
from compat_tests.programs.topics import TOPICS, _constructors
from compat_tests.programs.topics._op_table import CALLS, ELSEWHERE


def _differ(theirs: str, ours: str) -> bool:
    return compare("", Transcript(theirs), Transcript(ours), 1e-4) is not None


def test_numbers_agree_up_to_rounding_of_the_largest() -> None:
    assert not _differ("y [1.0, 100.0]", "y [1.001, 100.001]")
    assert _differ("y [1.0, 100.0]", "y [1.1, 100.0]")
    assert not _differ("y [nan, inf]", "y [nan, inf]")
    assert _differ("y [nan]", "y [1.0]")
    assert _differ("y 1", "y 2")  # whole numbers have no roundings
    assert _differ("y 1", "y 1.0")
    assert _differ("a\nb", "a")


def test_progress_and_times_are_no_output() -> None:
    bar = "1/1 \x1b[32m━━━━\x1b[0m\x1b[37m\x1b[0m 0s 31ms/step - loss: 0.5\n"
    assert not _differ(bar + "end", "end")
    assert not _differ("1/1 - 0s - 31ms/step - loss: 0.5", "1/1 - 1s - 1s/step - loss: 0.5")


def test_exceptions_agree_where_the_same_clause_catches_them() -> None:
    def ending(*kinds: str, line: int = 3) -> Transcript:
        return Transcript("", Failure(kinds, "no", line, ""))

    theirs = ending("ValueError", "Exception")
    assert compare("", theirs, ending("ValueError", "Exception"), 0) is None
    assert compare("", theirs, ending("ShapeError", "ValueError"), 0) is None
    assert compare("", theirs, ending("TypeError", "Exception"), 0) is not None
    assert compare("", theirs, ending("ValueError", line=4), 0) is not None
    assert compare("", theirs, Transcript(""), 0) is not None


def test_what_follows_a_difference_is_compared_too() -> None:
    def found(theirs: str, ours: str) -> list[str]:
        runs = Transcript(theirs), Transcript(ours)
        return [difference.expected for difference in differences("", *runs, 1e-4)]

    theirs = "y raises ValueError Exception BaseException\nz 1\nend 2"
    assert found(theirs, "y list 2\ny.0 1\ny.1 2\nz 3\nend 2") == [theirs.splitlines()[0], "z 1"]
    assert found("a 1\nb 1", "b 2\nb 3") == ["a 1"]  # nothing to go on with
    assert found("a 1\nb 1", "a 2") == ["a 1", "ran to its end (more output: b 1)"]


def test_reducing_keeps_what_fails() -> None:
    source = assemble(
        """
        import os
        for i in range(10):
            a = [i, 2 * i]
        try:
            show("y", max(numbers(3).tolist(), [7, 8, 9], key=len))
        except ValueError:
            pass
        print(a)
        """
    )
    text = reduced(source, lambda candidate: "max(" in candidate and "set_random" in candidate)
    assert text == "keras.utils.set_random_seed(0)\nmax()\n"


@pytest.mark.parametrize("topic", TOPICS)
def test_equal_seeds_write_equal_programs(topic: str) -> None:
    programs = [TOPICS[topic].program(Draw(f"1/{topic}/{i}")) for i in range(20)]
    assert programs == [TOPICS[topic].program(Draw(f"1/{topic}/{i}")) for i in range(20)]
    assert len(set(programs)) > 10
    for program in programs:
        assert "compat_tests" not in program and "torchkeras" not in program
        for part in parts_of(program):
            compile(part, "program.py", "exec")


def test_parts_have_their_own_imports() -> None:
    first, second = parts_of(assemble("show('a', 1)", HANDOVER, "print(np.ones(2))"))
    assert "def show" in first and "def show" not in second
    assert "import numpy as np" in second


def test_a_difference_is_noticed_and_reduced(monkeypatch, capsys) -> None:
    programs = [
        assemble("print(type(keras.Input((2,))).__module__)", "print(np.pi)"),
        "raise ValueError",
    ]
    monkeypatch.setattr(campaign, "write_program", lambda topic, number, seed: programs[number])
    found = Campaign("0", ("ops",), reduce_s=10)
    tally = found.run(len(programs), jobs=1)["ops"]
    assert (tally.programs, tally.finished, tally.refused, len(tally.different)) == (2, 0, 1, 1)
    assert not campaign.report(found.tallies)
    shown = capsys.readouterr().out
    assert "__module__" in shown and "np.pi" not in shown
    assert "No program of ops ran to its end." in shown  # which is a failure too


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.file)
def test_faults_of_the_control_can_be_planted(fault, tmp_path) -> None:
    source = Path(torchkeras.__file__).parent / fault.file
    copy = tmp_path / fault.file
    copy.parent.mkdir()
    shutil.copy(source, copy)
    fault.plant(tmp_path)
    assert copy.read_text() != source.read_text()
    compile(copy.read_text(), fault.file, "exec")


def test_reasons_are_sentences_that_match_something_tight() -> None:
    for reason in REASONS:
        assert len(reason.sentence) > 30 and reason.sentence.endswith("."), reason
        assert reason.theirs or reason.ours, f"matches every difference: {reason}"


def test_every_op_is_called_or_left_out_for_a_reason() -> None:
    names = {name for name in dir(keras.ops) if not name.startswith("_")}
    names |= {f"image.{name}" for name in dir(keras.ops.image) if not name.startswith("_")}
    assert not names - set(CALLS) - set(ELSEWHERE)
    assert not set(CALLS) & set(ELSEWHERE)
    assert not (set(CALLS) | set(ELSEWHERE)) - names, "names that Keras does not have"


def _public_classes(face: ModuleType, path: str = "") -> Iterator[tuple[str, type]]:
    """The classes of Keras's public modules, by their paths after `keras.`."""
    for name in dir(face):
        found = getattr(face, name)
        if name.startswith("_") or name in ("backend", "applications", "datasets", "src"):
            continue
        if isinstance(found, type):
            yield f"{path}{name}", found
        elif isinstance(found, ModuleType) and found.__name__.startswith("keras."):
            yield from _public_classes(found, f"{path}{name}.")


def test_every_class_is_made_wrongly_or_left_out_for_a_reason() -> None:
    names = {}
    for name, cls in _public_classes(keras):
        names.setdefault(cls, set()).add(name)
    made = {operator.attrgetter(f"{s.face}.{s.name}")(keras) for s in _constructors.SUBJECTS}
    left_out = {name for text in _constructors.ELSEWHERE.values() for name in text.split()}
    missing = [known for cls, known in names.items() if cls not in made and not known & left_out]
    assert not missing
    assert left_out <= set().union(*names.values()), "names that Keras does not have"
