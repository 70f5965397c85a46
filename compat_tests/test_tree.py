"""Nested structures, against Keras.

Keras has several implementations; the one over torch's pytree, taken on torch, leaves inner dicts
unsorted, maps to the shallower of two structures, and miscounts paths after empty containers. What
its documentation says, and what we do, is `optree_impl`.
"""

import collections

import keras
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import tree as theirs
from keras.src.tree import optree_impl

from torchkeras import tree as ours

Point = collections.namedtuple("Point", "x y")


class MyList(list):
    """A subclass: a leaf."""


STRUCTURES = [
    1,
    None,
    "text",
    [],
    (),
    {},
    [1, [2, (3, None)], {}],
    {"b": 1, "a": [2, 3]},
    Point([1, 2], {"z": 3}),
    collections.OrderedDict(b=1, a=2),
    collections.deque([1, (2,)]),
    {2: "two", 1: "one"},
    MyList([1, 2]),
    {1, 2},
    range(3),
]

nested = st.recursive(
    st.integers() | st.none() | st.text(max_size=2),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=2), inner, max_size=3)
        | st.tuples(inner, inner).map(lambda pair: Point(*pair))
    ),
    max_leaves=10,
)


def check_one(structure):
    theirs = optree_impl
    assert ours.is_nested(structure) == theirs.is_nested(structure)
    leaves = ours.flatten(structure)
    assert leaves == theirs.flatten(structure)
    assert ours.flatten_with_path(structure) == theirs.flatten_with_path(structure)
    again = ours.pack_sequence_as(structure, leaves)
    assert again == theirs.pack_sequence_as(structure, leaves)
    assert type(again) is type(structure)
    assert ours.lists_to_tuples(structure) == theirs.lists_to_tuples(structure)
    for none_is_leaf in (True, False):
        mapped = [
            m.map_structure(lambda x: (x, 0), structure, none_is_leaf=none_is_leaf)
            for m in (ours, theirs)
        ]
        assert mapped[0] == mapped[1] and repr(mapped[0]) == repr(mapped[1])
    ours.assert_same_structure(structure, structure)
    ours.assert_same_paths(structure, structure)


@pytest.mark.parametrize("structure", STRUCTURES, ids=repr)
def test_given_structures(structure):
    check_one(structure)


def test_torchs_tuples_are_containers():
    pair = torch.max(torch.ones(2, 3), 0)
    for structure in (torch.Size([2, 3]), pair):
        for module in (ours, theirs):
            assert module.is_nested(structure)
            assert len(module.flatten(structure)) == 2
    assert type(ours.map_structure(lambda x: x, pair)) is type(pair)


@given(nested)
@settings(max_examples=80, deadline=None)
def test_any_structure(structure):
    check_one(structure)


@given(nested, nested)
@settings(max_examples=80, deadline=None)
def test_any_two_structures(a, b):
    results = []
    for module in (ours, optree_impl):
        try:
            module.assert_same_paths(a, b)
            results.append(True)
        except ValueError:
            results.append(False)
    assert results[0] == results[1]


@given(nested, st.booleans())
@settings(max_examples=100, deadline=None)
def test_traverse_sees_the_same_nodes(structure, top_down):
    seen = []
    for module in (ours, optree_impl):
        visited = []
        module.traverse(lambda x, v=visited: v.append(x), structure, top_down=top_down)
        seen.append(visited)
    assert seen[0] == seen[1]


@pytest.mark.parametrize("top_down", [True, False])
def test_traverse_replaces(top_down):
    results = []
    for module in (ours, theirs):

        def replace(x, module=module):
            if isinstance(x, tuple):
                return "tuple"
            return module.MAP_TO_NONE if x == 2 else None

        results.append(module.traverse(replace, [1, (2, 3), {"a": 2}], top_down=top_down))
    assert results[0] == results[1]


def test_map_up_to_and_shapes():
    for module in (ours, theirs):
        assert module.map_structure_up_to(
            {"a": 0, "b": [0, 0]},
            lambda x, y: (x, y),
            {"a": [1], "b": [2, (3,)]},
            {"a": 4, "b": [5, 6]},
        ) == {"a": ([1], 4), "b": [(2, 5), ((3,), 6)]}
        shapes = [(None, 2), {"a": [1, 2], "b": ()}, [(3,), (4, None)]]
        assert module.map_shape_structure(len, shapes) == [2, {"a": 2, "b": 0}, [1, 2]]


@pytest.mark.parametrize(
    "action",
    [
        lambda m: m.map_structure(lambda a, b: 0, [1, 2], (1, 2)),
        lambda m: m.map_structure(lambda a, b: 0, [1, 2], [1]),
        lambda m: m.map_structure(lambda a, b: 0, [[1], 2], [1, 2]),
        lambda m: m.map_structure(lambda a, b: 0, {"a": 1}, {"b": 1}),
        lambda m: m.map_structure(lambda a, b: 0, [None], [1], none_is_leaf=False),
        lambda m: m.map_structure(lambda a: 0),
        lambda m: m.map_structure(3, [1]),
        lambda m: m.map_structure_up_to([1, [2]], lambda a: 0, [1, 2]),
        lambda m: m.map_structure_up_to([1], lambda a: 0),
        lambda m: m.pack_sequence_as([1, 2], [1]),
        lambda m: m.pack_sequence_as([1, 2], [1, 2, 3]),
        lambda m: m.pack_sequence_as([1, 2], 3),
        lambda m: m.assert_same_structure([1], (1,)),
        lambda m: m.assert_same_structure(Point(1, 2), (1, 2)),
        lambda m: m.assert_same_structure({"a": 1}, {"a": 1, "b": 2}),
        lambda m: m.assert_same_structure([1], [[1]]),
        lambda m: m.assert_same_paths([1], {"a": 1}),
    ],
)
def test_errors_are_of_keras_type(action):
    try:
        action(theirs)
    except Exception as error:
        expected = type(error)
    else:  # torch's own pytree, which Keras uses here, maps to the shallower structure
        expected = ValueError
    with pytest.raises(expected):
        action(ours)


def test_dicts_of_all_kinds_are_the_same_structure():
    kinds = [{"a": 1}, collections.OrderedDict(a=2), collections.defaultdict(int, a=3)]
    for module in (ours, theirs):
        for a in kinds:
            for b in kinds:
                module.assert_same_structure(a, b)
                assert module.map_structure(lambda x, y: x - y, a, b)["a"] == a["a"] - b["a"]
                assert type(module.map_structure(lambda x, y: x, a, b)) is type(a)


def test_check_types_is_deprecated():
    for module in (ours, theirs):
        for value in (True, False):
            with pytest.warns(DeprecationWarning):
                module.assert_same_structure([1], [2], check_types=value)


def test_public_names():
    names = {n for n in dir(keras.tree) if not n.startswith("_")}
    assert names <= set(ours.__all__)
