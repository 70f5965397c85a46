"""Nested structures: lists, tuples, named tuples, dicts, deques and registered classes.

Dicts and defaultdicts are visited in the sorted order of their keys, ordered dicts in their own
order; results keep the original key order. `None` is a leaf. Subclasses of the containers are
leaves unless they are registered; a `torch.Size` counts as a tuple, torch's result tuples
(`torch.return_types`) as themselves.
Sources: `keras.tree` (semantics), which follows `optree`.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import torch

__all__ = [
    "MAP_TO_NONE",
    "assert_same_paths",
    "assert_same_structure",
    "flatten",
    "flatten_with_path",
    "is_nested",
    "lists_to_tuples",
    "map_shape_structure",
    "map_structure",
    "map_structure_up_to",
    "pack_sequence_as",
    "register_tree_node",
    "register_tree_node_class",
    "traverse",
]

T = TypeVar("T", bound=type)
Path = tuple[Any, ...]


class MAP_TO_NONE:
    """What a function given to `traverse` returns to put `None` in the result."""


class _Node:
    """How one container type is taken apart and put together.

    Attributes:
        split: From a container to its children in order, and whatever `join` needs.
        join: From that and new children to a container.
        keys: From a container to its children's keys, for paths.
        custom: Whether the class was registered, so that what `join` needs must be equal in
            structures of the same kind.
    """

    __slots__ = ("custom", "join", "keys", "split")

    def __init__(
        self,
        split: Callable[[Any], tuple[Iterable[Any], Any]],
        join: Callable[[Any, list[Any]], Any],
        keys: Callable[[Any], Iterable[Any]] | None = None,
        custom: bool = False,
    ) -> None:
        self.split = split
        self.join = join
        self.custom = custom
        self.keys = keys or (lambda x: range(len(list(split(x)[0]))))


def _sorted_keys(x: dict[Any, Any]) -> list[Any]:
    try:
        return sorted(x)
    except TypeError:  # keys of several types: any fixed order will do
        return sorted(x, key=lambda k: (type(k).__qualname__, repr(k)))


def _split_dict(x: dict[Any, Any]) -> tuple[list[Any], Any]:
    keys = _sorted_keys(x)
    return [x[k] for k in keys], (keys, x)


def _join_dict(aux: Any, children: list[Any]) -> Any:
    keys, like = aux
    found = dict(zip(keys, children, strict=True))
    ordered = {k: found[k] for k in like}  # insertion order as in the original
    return defaultdict(like.default_factory, ordered) if type(like) is defaultdict else ordered


_LIST = _Node(lambda x: (x, None), lambda _, c: c, lambda x: range(len(x)))
_TUPLE = _Node(lambda x: (x, None), lambda _, c: tuple(c), lambda x: range(len(x)))
_NAMED = _Node(lambda x: (x, type(x)), lambda cls, c: cls(*c), lambda x: range(len(x)))
_DICT = _Node(_split_dict, _join_dict, _sorted_keys)
_STRUCT = _Node(lambda x: (x, type(x)), lambda cls, c: cls(c), lambda x: range(len(x)))
_ORDERED = _Node(
    lambda x: (x.values(), list(x)),
    lambda keys, c: OrderedDict(zip(keys, c, strict=True)),
    list,
)
_DEQUE = _Node(lambda x: (x, x.maxlen), lambda n, c: deque(c, maxlen=n), lambda x: range(len(x)))

_NODES: dict[type, _Node] = {
    list: _LIST,
    tuple: _TUPLE,
    dict: _DICT,
    defaultdict: _DICT,
    OrderedDict: _ORDERED,
    deque: _DEQUE,
    torch.Size: _TUPLE,
}
_LEAF_TYPES: set[type] = {type(None), int, float, bool, str, bytes}


def _node(x: Any) -> _Node | None:
    """The rules for `x`, or `None` for a leaf."""
    cls = type(x)
    found = _NODES.get(cls)
    if found is None and cls not in _LEAF_TYPES and isinstance(x, tuple):
        if hasattr(cls, "_fields"):
            _NODES[cls] = found = _NAMED
        elif hasattr(cls, "n_sequence_fields"):
            _NODES[cls] = found = _STRUCT
    return found


def register_tree_node(
    cls: type,
    split: Callable[[Any], tuple[Iterable[Any], Any]],
    join: Callable[[Any, list[Any]], Any],
    keys: Callable[[Any], Iterable[Any]] | None = None,
) -> None:
    """Make instances of `cls` containers.

    Args:
        cls: The class.
        split: From an instance to its children and whatever else `join` needs.
        join: From that and a list of new children to an instance.
        keys: From an instance to its children's keys; indices if not given.
    """
    _NODES[cls] = _Node(split, join, keys, custom=True)


def register_tree_node_class(cls: T) -> T:
    """Make a class with `tree_flatten()` and `tree_unflatten(metadata, children)` a container.

    `tree_flatten` returns the children, metadata and, optionally, the children's keys.
    """

    def split(x: Any) -> tuple[Iterable[Any], Any]:
        children, metadata, *_ = x.tree_flatten()
        return children, metadata

    def keys(x: Any) -> Iterable[Any]:
        children, _, *named = x.tree_flatten()
        return named[0] if named and named[0] is not None else range(len(list(children)))

    register_tree_node(cls, split, lambda metadata, c: cls.tree_unflatten(metadata, c), keys)
    return cls


def is_nested(structure: Any) -> bool:
    """Whether `structure` is a container (even an empty one) and not a leaf.

    Example:
        >>> is_nested([]), is_nested("ab"), is_nested(None)
        (True, False, False)
    """
    return _node(structure) is not None


def flatten(structure: Any) -> list[Any]:
    """The leaves, depth first.

    Example:
        >>> flatten({"b": [1, (2, None)], "a": 3})
        [3, 1, 2, None]
    """
    if _is_plain_leaf(structure):
        return [structure]
    leaves: list[Any] = []
    _collect(structure, leaves)
    return leaves


def _is_plain_leaf(x: Any) -> bool:
    """Whether `x` is a leaf, of the kind that takes no second look."""
    cls = type(x)
    return cls not in _NODES and not issubclass(cls, tuple)


def _collect(x: Any, leaves: list[Any]) -> None:
    # The common containers first: this runs at every call of a model with several inputs.
    cls = type(x)
    if cls is list or cls is tuple:
        children: Iterable[Any] = x
    elif cls is dict:
        children = [x[key] for key in _sorted_keys(x)]
    else:
        node = _node(x)
        if node is None:
            leaves.append(x)
            return
        children = node.split(x)[0]
    for child in children:
        _collect(child, leaves)


def flatten_with_path(structure: Any) -> list[tuple[Path, Any]]:
    """Pairs of path and leaf, depth first; a path holds dict keys and positions.

    Example:
        >>> flatten_with_path({"a": [1, 2]})
        [(('a', 0), 1), (('a', 1), 2)]
    """
    return list(_walk(structure, ()))


def _walk(x: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    node = _node(x)
    if node is None:
        yield path, x
        return
    for key, child in zip(node.keys(x), node.split(x)[0], strict=True):
        yield from _walk(child, (*path, key))


def pack_sequence_as(structure: Any, flat_sequence: Iterable[Any]) -> Any:
    """Put leaves into the shape of `structure`, dicts with their keys sorted, as Keras on torch.

    Args:
        structure: Where the containers come from; its leaves are ignored.
        flat_sequence: The new leaves, in the order of `flatten(structure)`.

    Raises:
        TypeError: `flat_sequence` is not iterable.
        ValueError: Too few or too many leaves.

    Example:
        >>> pack_sequence_as({"x": 0, "y": [0, 0]}, [1, 2, 3])
        {'x': 1, 'y': [2, 3]}
    """
    leaves = list(flat_sequence)
    expected = len(flatten(structure))
    if len(leaves) != expected:
        raise ValueError(
            f"The numbers of leaves differ: the structure holds {expected}, `flat_sequence` has"
            f" {len(leaves)}."
        )
    remaining = iter(leaves)
    return _rebuild(_with_sorted_keys(structure), lambda _: next(remaining))


def _with_sorted_keys(x: Any) -> Any:
    """Copy a structure, with dicts in the order in which they are laid flat."""
    node = _node(x)
    if node is None:
        return x
    children, aux = node.split(x)
    return node.join(_sorted_aux(node, aux), [_with_sorted_keys(child) for child in children])


def _sorted_aux(node: _Node, aux: Any) -> Any:
    """What joins the children of a dict in the order of its sorted keys."""
    if node is not _DICT:
        return aux
    keys, like = aux
    ordered = dict.fromkeys(keys)
    return keys, defaultdict(like.default_factory, ordered) if type(
        like
    ) is defaultdict else ordered


def _rebuild(x: Any, func: Callable[[Any], Any]) -> Any:
    cls = type(x)
    if cls is list:
        return [_rebuild(child, func) for child in x]
    if cls is tuple:
        return tuple([_rebuild(child, func) for child in x])
    node = _node(x)
    if node is None:
        return func(x)
    children, aux = node.split(x)
    return node.join(aux, [_rebuild(c, func) for c in children])


def map_structure(func: Callable[..., Any], *structures: Any, none_is_leaf: bool = True) -> Any:
    """Apply `func` to corresponding leaves; the result is shaped like the first structure.

    Args:
        func: Takes as many arguments as there are structures.
        structures: At least one; all of the same shape.
        none_is_leaf: Whether `func` sees `None`; otherwise it stays `None`.

    Raises:
        TypeError: `func` is not callable.
        ValueError: No structures, or different shapes.

    Example:
        >>> map_structure(lambda a, b: a + b, {"x": 1, "y": (2,)}, {"x": 10, "y": (20,)})
        {'x': 11, 'y': (22,)}
    """
    if not callable(func):
        raise TypeError(f"`func` must be callable. Received: {func!r}")
    if not structures:
        raise ValueError("`map_structure` needs at least one structure.")
    if not none_is_leaf:
        original = func

        def func(*leaves: Any) -> Any:
            if leaves[0] is not None:
                return original(*leaves)
            if any(x is not None for x in leaves):
                raise ValueError(f"Some of the corresponding leaves are None: {leaves}.")
            return None

    if len(structures) == 1:
        structure = structures[0]
        return func(structure) if _is_plain_leaf(structure) else _rebuild(structure, func)
    return _zip_map(func, structures, ())


def _zip_map(func: Callable[..., Any], xs: tuple[Any, ...], path: Path, up_to: bool = False) -> Any:
    first = xs[0]
    node = _node(first)
    if node is None:
        if not up_to:
            for other in xs[1:]:
                if _node(other) is not None:
                    raise _mismatch(path, first, other)
        return func(*xs)
    columns = [_matching_children(node, first, other, path) for other in xs[1:]]
    children, aux = node.split(first)
    rows = zip(node.keys(first), zip(children, *columns, strict=True), strict=True)
    return node.join(aux, [_zip_map(func, row, (*path, key), up_to) for key, row in rows])


def _matching_children(node: _Node, first: Any, other: Any, path: Path) -> list[Any]:
    """Children of `other` in the order of `first`'s, if both are the same kind of container."""
    if node in (_DICT, _ORDERED) and _node(other) in (_DICT, _ORDERED):
        if first.keys() != other.keys():
            raise _mismatch(path, first, other)
        return [other[key] for key in node.keys(first)]
    if type(first) is not type(other):
        raise _mismatch(path, first, other)
    given, aux = node.split(other)
    expected, expected_aux = node.split(first)
    children = list(given)
    if len(children) != len(list(expected)):
        raise _mismatch(path, first, other)
    if node.custom and aux != expected_aux:
        raise _mismatch(path, first, other, "Mismatch custom node data")
    return children


def _mismatch(path: Path, first: Any, other: Any, kind: str | None = None) -> ValueError:
    where = "".join(f"[{key!r}]" for key in path) or "the top"
    if kind is None:
        dicts = isinstance(first, dict) and isinstance(other, dict)
        if dicts and len(first) == len(other):
            kind = "dictionary key mismatch"
        elif dicts or type(first) is type(other):
            kind = "Node arity mismatch"
    return ValueError(
        f"The structures don't have the same nested structure{f' ({kind})' if kind else ''}: at"
        f" {where}, expected {_describe(first)}, got {_describe(other)}."
    )


def _describe(x: Any) -> str:
    kind = f"namedtuple {type(x).__name__}" if hasattr(x, "_fields") else type(x).__name__
    if isinstance(x, dict):
        return f"a {kind} with keys {list(x)}"
    return f"a {kind} of length {len(x)}" if _node(x) and hasattr(x, "__len__") else f"a {kind}"


def map_structure_up_to(shallow_structure: Any, func: Callable[..., Any], *structures: Any) -> Any:
    """Apply `func` to what the structures hold where `shallow_structure` has leaves.

    Args:
        shallow_structure: Decides how deep to go; its leaves are not passed on.
        func: Takes as many arguments as there are structures, which may be containers.
        structures: At least one.

    Raises:
        ValueError: No structures, or one that is not nested like `shallow_structure` as deep as
            that goes.

    Example:
        >>> map_structure_up_to({"a": 0}, len, {"a": [1, 2, 3]})
        {'a': 3}
    """
    if not structures:
        raise ValueError("`map_structure_up_to` needs at least one structure.")
    return _zip_map(lambda _, *rest: func(*rest), (shallow_structure, *structures), (), up_to=True)


def assert_same_structure(a: Any, b: Any, check_types: bool | None = None) -> None:
    """Check that two structures are nested in the same way.

    Lists, tuples, named tuples and deques differ from each other; the kinds of dict do not.

    Args:
        a: A structure.
        b: Another.
        check_types: Deprecated, without effect.

    Raises:
        ValueError: They are nested differently.
    """
    if check_types is not None:
        warnings.warn(
            "`check_types` has no effect and will go; leave it out, or call "
            "`assert_same_paths` to ignore the types of the containers.",
            DeprecationWarning,
            stacklevel=2,
        )
    _zip_map(lambda *_: None, (a, b), ())


def assert_same_paths(a: Any, b: Any) -> None:
    """Check that two structures have leaves at the same paths, whatever the container types.

    Raises:
        ValueError: A path is in one only; the message lists them.
    """
    in_a = {path for path, _ in _walk(a, ())}
    in_b = {path for path, _ in _walk(b, ())}
    if in_a != in_b:
        raise ValueError(
            "`a` and `b` don't have the same paths. "
            f"Only in `a`: {sorted(in_a - in_b, key=repr)}; "
            f"only in `b`: {sorted(in_b - in_a, key=repr)}."
        )


def traverse(func: Callable[[Any], Any], structure: Any, top_down: bool = True) -> Any:
    """Visit containers and leaves; replace what `func` returns something for.

    Args:
        func: Gets every node. `None` keeps the node (going on to its children when `top_down`),
            `MAP_TO_NONE` replaces it by `None`, anything else replaces it.
        structure: A structure.
        top_down: Visit parents before their children, not after.

    Example:
        >>> traverse(lambda x: tuple(x) if isinstance(x, list) else None, [1, [2]], top_down=False)
        (1, (2,))
    """
    if top_down:
        result = func(structure)
        if result is None:
            return _traverse_children(func, structure, top_down)
    else:
        visited = _traverse_children(func, structure, top_down)
        result = func(visited)
        if result is None:
            return visited
    return None if result is MAP_TO_NONE else result


def _traverse_children(func: Callable[[Any], Any], x: Any, top_down: bool) -> Any:
    node = _node(x)
    if node is None:
        return x
    children, aux = node.split(x)
    return node.join(aux, [traverse(func, c, top_down) for c in children])


def lists_to_tuples(structure: Any) -> Any:
    """The same structure with tuples in place of lists.

    Example:
        >>> lists_to_tuples([1, {"a": [2]}])
        (1, {'a': (2,)})
    """
    return traverse(lambda x: tuple(x) if isinstance(x, list) else None, structure, top_down=False)


def map_shape_structure(func: Callable[[Any], Any], structure: Any) -> Any:
    """`map_structure` in which lists and tuples of integers and `None` are leaves: shapes.

    Example:
        >>> map_shape_structure(len, {"a": (None, 3), "b": [(1,), (2, 2, 2)]})
        {'a': 2, 'b': [1, 3]}
    """
    if isinstance(structure, (list, tuple)) and all(
        d is None or isinstance(d, int) for d in structure
    ):
        return func(structure)
    node = _node(structure)
    if node is None:
        return func(structure)
    children, aux = node.split(structure)
    return node.join(_sorted_aux(node, aux), [map_shape_structure(func, c) for c in children])
