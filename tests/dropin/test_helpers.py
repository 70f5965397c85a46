import logging

import pytest
import torch

from torchkeras.dropin import helpers, shapes


def test_names_of_options():
    helpers.validate_string_arg("a", ("a", "b"), "f", "mode")
    helpers.validate_string_arg(None, ("a",), "f", "mode", allow_none=True)
    helpers.validate_string_arg(len, ("a",), "f", "mode", allow_callables=True)
    for value in ("c", None, len):
        with pytest.raises(ValueError, match="Unknown value for `mode` argument of f"):
            helpers.validate_string_arg(value, ("a", "b"), "f", "mode")


def test_small_ones():
    items = [torch.ones(2), torch.ones(2)]
    helpers.remove_by_id(items, items[1])
    helpers.remove_by_id(items, torch.ones(2))
    assert len(items) == 1
    assert helpers.to_list(1) == helpers.to_list([1]) == [1]
    assert (helpers.removeprefix("ab", "a"), helpers.removesuffix("ab", "b")) == ("b", "a")


def test_defaults_are_told_from_overrides():
    class Base:
        @helpers.default
        def build(self):
            pass

    class Derived(Base):
        def build(self):
            pass

    assert helpers.is_default(Base().build) and not helpers.is_default(Derived().build)


def test_verbosity():
    logger = logging.getLogger("torchkeras")
    former = logger.level
    helpers.set_logging_verbosity("ERROR")
    assert logger.level == logging.ERROR
    logger.setLevel(former)
    with pytest.raises(ValueError, match="valid level"):
        helpers.set_logging_verbosity("LOUD")


def test_lines_of_code(tmp_path, capsys):
    (tmp_path / "a.py").write_text('"""\nDoc.\n"""\nx = 1  # one\n\n# two\n')
    (tmp_path / "skip_test").mkdir()
    (tmp_path / "skip_test" / "b.py").write_text("y = 2\n")
    assert helpers.count_loc(str(tmp_path), verbose=1) == 1
    assert "a.py" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: shapes.broadcast_shapes((2,), (3,)), "(?s)Cannot broadcast.*2 and 3"),
        (lambda: shapes.compute_conv_output_shape((1, 4, 1), 1, (5,)), "zero or negative"),
        (lambda: shapes.compute_conv_output_shape((1, 4, 1), 1, (2, 2)), "same length as input"),
        (lambda: shapes.compute_matmul_output_shape((2, 3), (4, 5)), "Inner dimensions"),
        (lambda: shapes.compute_transpose_output_shape((2, 3), (0, 0)), "permutation"),
        (lambda: shapes.to_tuple_or_list("a"), "integer, tuple or list"),
        (lambda: shapes.validate_reshape_shape((-1, -1)), "at most one unknown"),
    ],
)
def test_shapes_that_do_not_fit(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_sizes_that_only_run_time_knows():
    size = torch.tensor(3)
    assert shapes.compute_reshape_output_shape((6,), (size, -1)) == (None, None)
    assert shapes.compute_reshape_output_shape((6,), torch.tensor([2, 3])) == (None, None)
