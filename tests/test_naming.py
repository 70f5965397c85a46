import pytest

from torchkeras.naming import (
    auto_name,
    current_path,
    explain,
    name_scope,
    nearest,
    reset_uids,
    to_snake_case,
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Dense", "dense"),
        ("MaxPooling2D", "max_pooling2d"),
        ("LSTM", "lstm"),
        ("GRUCell", "gru_cell"),
        ("ELU", "elu"),
        ("ConvLSTM2D", "conv_lstm2d"),
    ],
)
def test_snake_case(name, expected):
    assert to_snake_case(name) == expected


def test_names_are_numbered_from_the_second_on():
    reset_uids()
    assert [auto_name("MyLayer") for _ in range(3)] == ["my_layer", "my_layer_1", "my_layer_2"]
    reset_uids()
    assert auto_name("MyLayer") == "my_layer"


def test_a_caller_opens_one_scope_only():
    caller = object()
    with name_scope("a", caller), name_scope("a", caller), name_scope("b"):
        assert current_path() == "a/b"
    assert current_path() == ""


def test_scopes_close_after_an_error():
    with pytest.raises(KeyError), name_scope("a"):
        raise KeyError
    assert current_path() == ""


def test_nearest_ignores_case_and_says_nothing_for_strangers():
    assert nearest("Adma", ["adam", "sgd"]) == "Did you mean 'adam'?"
    assert nearest("zzz", ["adam", "sgd"]) == ""


def test_explain_lists_facts_and_the_fix():
    message = explain("Wrong.", given=3, expected=4, fix="use 4.")
    assert message == "Wrong.\n  given: 3\n  expected: 4\nFix: use 4."
