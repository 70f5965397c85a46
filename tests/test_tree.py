"""Nested structures: laws that hold for any of them, and the messages of what fails."""

import collections

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchkeras import tree

Point = collections.namedtuple("Point", "x y")

nested = st.recursive(
    st.integers() | st.none(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.lists(inner, max_size=3).map(collections.deque)
        | st.dictionaries(st.text(max_size=2), inner, max_size=3)
        | st.dictionaries(st.text(max_size=2), inner, max_size=3).map(collections.OrderedDict)
        | st.tuples(inner, inner).map(lambda pair: Point(*pair))
    ),
    max_leaves=12,
)


@given(nested)
@settings(max_examples=80, deadline=None)
def test_packing_undoes_flattening(structure):
    leaves = tree.flatten(structure)
    again = tree.pack_sequence_as(structure, leaves)
    assert again == structure
    assert type(again) is type(structure)
    assert tree.map_structure(lambda x: x, structure) == structure
    assert [leaf for _, leaf in tree.flatten_with_path(structure)] == leaves
    paths = [path for path, _ in tree.flatten_with_path(structure)]
    assert len(set(paths)) == len(paths)


@given(nested)
@settings(max_examples=80, deadline=None)
def test_paths_lead_to_the_leaves(structure):
    for path, leaf in tree.flatten_with_path(structure):
        found = structure
        for key in path:
            found = found[key]
        assert found is leaf


def test_dicts_are_visited_by_key_and_keep_their_order():
    structure = {"b": 1, "a": {"d": 2, "c": 3}}
    assert tree.flatten(structure) == [3, 2, 1]
    mapped = tree.map_structure(str, structure)
    assert list(mapped) == ["b", "a"] and list(mapped["a"]) == ["d", "c"]
    ordered = collections.OrderedDict(b=1, a=2)
    assert tree.flatten(ordered) == [1, 2]


def test_default_dicts_keep_their_factory():
    mapped = tree.map_structure(str, collections.defaultdict(list, a=1))
    assert mapped["a"] == "1" and mapped["new"] == []


def test_keys_of_several_types_have_some_fixed_order():
    structure = {2: "x", "a": "y", 1: "z"}
    assert sorted(tree.flatten(structure)) == ["x", "y", "z"]
    assert tree.flatten(structure) == tree.flatten(dict(reversed(structure.items())))


def test_subclasses_of_containers_are_leaves():
    class MyDict(dict):
        pass

    structure = MyDict(a=1)
    assert not tree.is_nested(structure)
    assert tree.flatten([structure]) == [structure]


def test_registered_classes_are_containers():
    @tree.register_tree_node_class
    class Pair:
        def __init__(self, left, right):
            self.left, self.right = left, right

        def tree_flatten(self):
            return (self.left, self.right), "metadata"

        @classmethod
        def tree_unflatten(cls, metadata, children):
            assert metadata == "metadata"
            return cls(*children)

    mapped = tree.map_structure(lambda x, y: x + y, Pair(1, [2]), Pair(10, [20]))
    assert (mapped.left, mapped.right) == (11, [22])
    assert tree.flatten_with_path(Pair(1, [2])) == [((0,), 1), ((1, 0), 2)]


def test_mismatches_say_where():
    with pytest.raises(
        ValueError, match=r"at \['a'\]\[1\], expected a list of length 1, got a int"
    ):
        tree.map_structure(lambda a, b: 0, {"a": [1, [2]]}, {"a": [1, 2]})
    with pytest.raises(ValueError, match="keys \\['a'\\], got a dict with keys \\['b'\\]"):
        tree.assert_same_structure({"a": 1}, {"b": 1})
    with pytest.raises(ValueError, match="holds 2, `flat_sequence` has 3"):
        tree.pack_sequence_as([1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match=r"Only in `a`: \[\(0,\)\]; only in `b`: \[\('x',\)\]"):
        tree.assert_same_paths([1], {"x": 1})
