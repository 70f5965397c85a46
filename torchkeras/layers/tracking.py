"""Lists, tuples, dicts and sets of layers and variables as attributes of a layer.

What is assigned to an attribute stays one of Python's own kinds, and is a `torch.nn.Module`
besides: what it holds is moved, trained and saved with its owner, and found in `state_dict` (and by
`get_submodule`, `torch.func`, `torch.export`) as `blocks.0.kernel`. It is registered as a child of
its owner only while there is state in it.

`_items` mirrors the items in a plain list or dict, and the methods that read go there, because
`torch.compile` cannot look into a subclass of `list` that is a module.

`Tracker` is another owner, with Keras's interface: it sorts what it finds into lists of a library's
choice.
"""

from __future__ import annotations

import functools
import operator
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, SupportsIndex

import torch

from ..config import get_global_attribute, set_global_attribute
from ..graph.context import CONTEXT
from ..tree import flatten, register_tree_node
from ..variables import itself

__all__ = [
    "CONTAINERS",
    "DotNotTrackScope",
    "Tracked",
    "TrackedDict",
    "TrackedList",
    "TrackedOrderedDict",
    "TrackedSet",
    "TrackedTuple",
    "Tracker",
    "WeightList",
    "by_number",
    "children_of",
    "containers_in",
    "first_parameter",
    "in_order_of_arrival",
    "is_tracking_enabled",
    "items_in",
    "no_automatic_dependency_tracking",
    "register_items",
    "track",
]

CONTAINERS = (list, dict, tuple, set)


class DotNotTrackScope:
    """Within it, what is assigned to attributes of layers does not become part of their state."""

    def __enter__(self) -> None:
        self._former = is_tracking_enabled()
        set_global_attribute("tracking_on", False)

    def __exit__(self, *exception: object) -> None:
        set_global_attribute("tracking_on", self._former)


def is_tracking_enabled() -> bool:
    """Tell whether layers register what is assigned to their attributes."""
    return get_global_attribute("tracking_on", True)


def no_automatic_dependency_tracking(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Run a method in a `DotNotTrackScope`."""

    @functools.wraps(fn)
    def untracked(*args: Any, **kwargs: Any) -> Any:
        with DotNotTrackScope():
            return fn(*args, **kwargs)

    return untracked


class Tracked(torch.nn.Module):
    """What all kinds share: after every change, registered children and owner follow."""

    def attach(self, owner: Any, attribute: str) -> Any:
        """Belong to attribute `attribute` of `owner`, a layer or an outer tracked object."""
        # Written directly: torch would note a weak reference, which a tuple cannot have, and the
        # owner is no child of what it owns.
        self.__dict__.update(torch.nn.Module().__dict__)
        self.__dict__.update(_owner=owner, _attribute=attribute, training=owner.training)
        self._changed()
        return self

    def _changed(self) -> None:
        if "_owner" not in self.__dict__:  # nobody's, or a copy in the making
            self.__dict__["_items"] = self._plain()
            return
        self._track_items()
        self.__dict__["_items"] = items = self._plain()
        self._modules.clear()
        self._parameters.clear()
        for key, value in items.items() if isinstance(items, dict) else enumerate(items):
            key = str(key).replace(".", "_")
            if isinstance(value, torch.nn.Parameter):
                self._parameters[key] = value
            elif isinstance(value, torch.nn.Module) and not is_stateless(value):
                if not self._lies_in(value):
                    self._modules[key] = value
        self._owner._follow(self._attribute, self)

    def _lies_in(self, value: Any) -> bool:
        """Whether this is `value` or a part of it, and `value` so no child of this."""
        owner = self
        while isinstance(owner, Tracked) and owner is not value:
            owner = owner.__dict__.get("_owner")  # a copy in the making has none yet
        return owner is value

    def _follow(self, attribute: str, value: Tracked) -> None:
        """An inner list or dict changed."""
        if any(item is value for item in self._values()):
            self._changed()

    def _may_hold(self, *values: Any) -> bool:
        """Ask the layer at the end of the owners; it refuses new state once it is built."""
        return "_owner" not in self.__dict__ or self._owner._may_hold(*values)

    def _plain(self) -> Any:
        """Return the items in a plain list or dict."""
        raise NotImplementedError

    def _values(self) -> list[Any]:
        plain = self._plain()
        return list(plain.values()) if isinstance(plain, dict) else plain

    def _track_items(self) -> None:
        """Turn plain lists, tuples and dicts among the items into tracked ones."""

    def _seen(self, item: Any) -> Any:
        """Return an item as the layer that is computing sees it: weights may be cast."""
        if isinstance(item, torch.nn.Parameter):
            return CONTEXT.view(item, getattr(self._owner, "_static_masks", False))
        return item

    def __iter__(self) -> Any:
        items = self._items
        return iter(items) if CONTEXT.view is None else map(self._seen, items)

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, key: Any) -> Any:
        item = self._items[key]
        return item if CONTEXT.view is None else self._seen(item)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"A {type(self).__name__} of layers cannot be called.")


class TrackedList(Tracked, list):
    """A list whose layers and variables belong to the layer it is an attribute of.

    Args:
        values: What it holds.
        tracker: A `Tracker` that it belongs to, where it belongs to no layer.
    """

    __hash__ = object.__hash__
    __eq__ = list.__eq__
    __repr__ = list.__repr__

    def __init__(self, values: Any = (), tracker: Tracker | None = None) -> None:
        list.__init__(self, values)
        self._changed() if tracker is None else self.attach(tracker, "")

    def _plain(self) -> list[Any]:
        return list.__getitem__(self, slice(None))

    def _track_items(self) -> None:
        for i, value in enumerate(self._plain()):
            list.__setitem__(self, i, track(value, self, str(i)))

    def remove(self, value: Any) -> None:
        """Remove an item; state is recognized by identity, since tensors cannot be compared."""
        for i, item in enumerate(self._plain()):
            if item is value:
                list.__delitem__(self, i)
                self._changed()
                return
        if isinstance(value, torch.Tensor):
            raise ValueError(f"The list does not hold {value!r}.")
        list.remove(self, value)
        self._changed()


class TrackedTuple(Tracked, tuple):
    """A tuple whose layers and variables belong to the layer it is an attribute of."""

    __hash__ = object.__hash__
    __eq__ = tuple.__eq__
    __repr__ = tuple.__repr__

    def __init__(self, items: Any) -> None:
        self.__dict__["_items"] = self._plain()  # a tuple is filled when it is made

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Written directly: where `torch.compile` is loaded, torch notes a weak reference here.
        self.__dict__.update(state)

    def _plain(self) -> list[Any]:
        return list(tuple.__iter__(self))


class TrackedDict(Tracked, dict):
    """A dict whose layers and variables belong to the layer it is an attribute of.

    Args:
        values: A dict, or pairs of keys and values.
        tracker: A `Tracker` that it belongs to, where it belongs to no layer.
    """

    __hash__ = object.__hash__
    __eq__ = dict.__eq__
    __repr__ = dict.__repr__

    def __init__(self, values: Any = (), tracker: Tracker | None = None) -> None:
        dict.__init__(self, values)
        self._changed() if tracker is None else self.attach(tracker, "")

    def _plain(self) -> dict[Any, Any]:
        return dict(dict.items(self))

    def _track_items(self) -> None:
        for key, value in self._plain().items():
            dict.__setitem__(self, key, track(value, self, str(key)))

    def keys(self) -> Any:
        """The keys."""
        return self._items.keys()

    def values(self) -> Any:
        """The values."""
        return [self[key] for key in self._items] if CONTEXT.view else self._items.values()

    def items(self) -> Any:
        """Pairs of keys and values."""
        return [(k, self[k]) for k in self._items] if CONTEXT.view else self._items.items()

    def get(self, key: Any, default: Any = None) -> Any:
        """Return a value, or the default."""
        return self[key] if key in self._items else default

    def __iter__(self) -> Any:
        return iter(self._items)


class TrackedOrderedDict(Tracked, OrderedDict):
    """An ordered dict whose layers and variables belong to the layer it is an attribute of.

    Args:
        values: A dict, or pairs of keys and values.
        tracker: A `Tracker` that it belongs to, where it belongs to no layer.
    """

    __hash__ = object.__hash__
    __eq__ = OrderedDict.__eq__
    __repr__ = OrderedDict.__repr__

    def __init__(self, values: Any = (), tracker: Tracker | None = None) -> None:
        OrderedDict.__init__(self)
        for key, value in values.items() if isinstance(values, Mapping) else values:
            OrderedDict.__setitem__(self, key, value)
        self._changed() if tracker is None else self.attach(tracker, "")

    def _plain(self) -> dict[Any, Any]:
        return dict(OrderedDict.items(self))

    def _track_items(self) -> None:
        for key, value in self._plain().items():
            OrderedDict.__setitem__(self, key, track(value, self, str(key)))

    keys, values, items, get = (
        TrackedDict.keys,
        TrackedDict.values,
        TrackedDict.items,
        TrackedDict.get,
    )
    __iter__ = TrackedDict.__iter__


class TrackedSet(Tracked, set):
    """A set whose layers and variables belong to the layer it is an attribute of.

    Its items have numbers in `state_dict`, which need not be the same in another process.

    Args:
        values: What it holds.
        tracker: A `Tracker` that it belongs to, where it belongs to no layer.
    """

    __hash__ = object.__hash__
    __eq__ = set.__eq__
    __repr__ = set.__repr__

    def __init__(self, values: Any = (), tracker: Tracker | None = None) -> None:
        set.__init__(self, values)
        self._changed() if tracker is None else self.attach(tracker, "")

    def _plain(self) -> list[Any]:
        return list(set.__iter__(self))


_KINDS: dict[type, Any] = {
    list: TrackedList,
    dict: TrackedDict,
    OrderedDict: TrackedOrderedDict,
    set: TrackedSet,
    tuple: TrackedTuple,
}


def _following(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def changing(self: Any, *args: Any, **kwargs: Any) -> Any:
        if args or kwargs:
            self._may_hold(*flatten((args, kwargs)))
        result = method(self, *args, **kwargs)
        self._changed()
        return result

    return changing


for _kind, _methods in (
    (list, "append extend insert pop clear reverse sort"),
    (list, "__setitem__ __delitem__ __iadd__ __imul__"),
    (dict, "__setitem__ __delitem__ pop popitem clear update setdefault __ior__"),
    (OrderedDict, "__setitem__ __delitem__ pop popitem clear update setdefault __ior__"),
    (OrderedDict, "move_to_end"),
    (set, "add discard remove pop clear update difference_update intersection_update"),
    (set, "symmetric_difference_update __ior__ __iand__ __isub__ __ixor__"),
):
    for _name in _methods.split():
        setattr(_KINDS[_kind], _name, _following(getattr(_kind, _name)))

# A tracked object counts as what it is made of. What is rebuilt from it belongs to no layer; it has
# the same type, but for compiled code, which knows plain ones only.


def _register(kind: Any, plain: type, keys: Callable[[Any], list[Any]] | None) -> None:
    def make(items: Any) -> Any:
        return (plain if torch.compiler.is_compiling() else kind)(items)

    if keys is None:
        register_tree_node(kind, lambda x: (list(x), None), lambda _, children: make(children))
    else:
        register_tree_node(
            kind,
            lambda x: ([x[key] for key in keys(x)], keys(x)),
            lambda names, children: make(zip(names, children, strict=True)),
            keys,
        )


_register(TrackedList, list, None)
_register(TrackedTuple, tuple, None)
_register(TrackedSet, set, None)
_register(TrackedDict, dict, lambda x: sorted(x))
_register(TrackedOrderedDict, dict, list)


def is_stateless(module: torch.nn.Module) -> bool:
    """Whether a tracked object holds no layers and no parameters."""
    return isinstance(module, Tracked) and not (module._modules or module._parameters)


def track(value: Any, owner: Any, attribute: str) -> Any:
    """Return a list or dict, or a tuple with state in it, in tracked form; else `value` itself.

    What a layer sees of a variable becomes the variable.
    """
    if isinstance(value, Tracked) and "_owner" not in value.__dict__:
        return value.attach(owner, attribute)
    kind = _KINDS.get(type(value))
    if kind is None:
        return value if CONTEXT.view is None else itself(value)
    if kind is TrackedTuple:
        items = [track(item, owner, "") for item in value]
        if not any(_is_state(item) for item in items):
            return value
        return TrackedTuple(items).attach(owner, attribute)
    return kind(value).attach(owner, attribute)


def register_items(value: Any, owner: Any, attribute: str) -> None:
    """Register what a named tuple holds, or a list or dict of another class than Python's own.

    It stays what it is, an attribute of `owner`; changes made to it later are not followed.
    """
    owner._note_metrics(value)
    if type(value) not in _KINDS:
        held = track(tuple(value.values() if isinstance(value, dict) else value), owner, attribute)
        if isinstance(held, Tracked):
            owner._modules[attribute] = held


def _is_state(value: Any) -> bool:
    if isinstance(value, Tracked):
        return not is_stateless(value)
    return isinstance(value, (torch.nn.Module, torch.nn.Parameter))


class Tracker:
    """Puts what it is shown into lists, by kind, and follows containers as they change.

    Args:
        config: For each kind, a test and the list for what passes it.
        exclusions: For a kind, others whose members it leaves out.

    Example:
        >>> numbers = []
        >>> tracker = Tracker({"numbers": (lambda x: isinstance(x, int), numbers)})
        >>> items = tracker.track([1, "a"])
        >>> items.append(2)
        >>> numbers
        [1, 2]
    """

    training = False  # what containers ask their owner

    def __init__(
        self,
        config: Mapping[str, tuple[Callable[[Any], bool], list[Any]]],
        exclusions: Mapping[str, Iterable[str]] | None = None,
    ) -> None:
        self.config = config
        self.exclusions = exclusions or {}
        self.stored_ids: dict[str, set[int]] = {name: set() for name in config}
        self.locked = False
        self._lock_violation_msg = "No more items can be tracked."
        # What each container held when it last changed.
        self._contents: dict[int, dict[int, Any]] = {}

    def track(self, attr: Any) -> Any:
        """Put `attr`, or what it holds, into its list.

        Returns: `attr`; a container that follows later changes in place of a plain one.

        Raises:
            ValueError: It belongs into a list, and the tracker is locked.
        """
        if not is_tracking_enabled():
            return attr
        for name, (matches, _) in self.config.items():
            if matches(attr):
                excluded = any(self.is_in_store(o, attr) for o in self.exclusions.get(name, ()))
                if not excluded and not self.is_in_store(name, attr):
                    self.add_to_store(name, attr)
                return attr
        if isinstance(attr, tuple):
            items = [self.track(item) for item in attr]
            return type(attr)(*items) if hasattr(attr, "_fields") else type(attr)(items)
        return track(attr, self, "")

    def untrack(self, value: Any) -> None:
        """Take `value` out of the lists."""
        for name, ids in self.stored_ids.items():
            if id(value) in ids:
                ids.remove(id(value))
                store = self.config[name][1]
                store[:] = [item for item in store if item is not value]

    def lock(self, msg: str | None = None) -> None:
        """Refuse anything new, with the message `msg`."""
        self.locked = True
        self._lock_violation_msg = msg or self._lock_violation_msg

    def unlock(self) -> None:
        """Accept new items again."""
        self.locked = False

    def add_to_store(self, store_name: str, value: Any) -> None:
        """Put `value` into the list of a kind."""
        if self.locked:
            raise ValueError(self._lock_violation_msg)
        self.config[store_name][1].append(value)
        self.stored_ids[store_name].add(id(value))

    def is_in_store(self, store_name: str, value: Any) -> bool:
        """Tell whether `value` is in the list of a kind."""
        return id(value) in self.stored_ids[store_name]

    def _follow(self, attribute: str, value: Tracked) -> None:
        """A container of ours changed."""
        former = self._contents.get(id(value), {})
        items = {id(item): item for item in flatten(value._values())}
        self._contents[id(value)] = items
        for key, item in items.items():
            if key not in former:
                self.track(item)
        for key, item in former.items():
            if key not in items:
                self.untrack(item)

    def _may_hold(self, *values: Any) -> bool:
        return True


def containers_in(module: torch.nn.Module) -> Iterator[Tracked]:
    """Yield the containers among a module's attributes, also those in one another."""
    for child in module._modules.values():
        if isinstance(child, Tracked):
            yield child
            yield from containers_in(child)


def children_of(module: torch.nn.Module, but: Tracked | None = None) -> Iterator[torch.nn.Module]:
    """Yield child layers and plain modules, looking into lists and dicts other than `but`."""
    for child in module._modules.values():
        if child is but and but is not None:
            continue
        if isinstance(child, Tracked):
            yield from children_of(child)
        elif child is not None:
            yield child


def in_order_of_arrival(
    children: list[torch.nn.Module],
    former: Iterable[torch.nn.Module],
    earlier: Iterable[torch.nn.Module] = (),
) -> list[torch.nn.Module]:
    """Sort the children of a layer by when they came, as Keras does.

    `self.a.append(Dense(1)); self.b.append(Dense(1)); self.a.append(Dense(1))` adds three children
    in this order, which is neither that of the attributes nor written anywhere else.

    Args:
        children: All of them, attribute by attribute.
        former: Those that were known before, in their order; some may be gone.
        earlier: Those that are not in the list or dict alone that got new ones just now.
    """
    found = {id(child): child for child in children}
    order = {id(child): child for child in former if id(child) in found}
    if len(order) < len(found):
        order.update((id(child), child) for child in earlier)
        order.update(found)
    return list(order.values())


def by_number(weights: Iterable[torch.nn.Parameter]) -> list[torch.nn.Parameter]:
    """Sort weights by when they were made; PyTorch's own stay behind those before them."""
    numbered, number = [], -1
    for weight in weights:
        number = getattr(weight, "_number", number)
        numbered.append((number, weight))
    return [weight for _, weight in sorted(numbered, key=operator.itemgetter(0))]


def first_parameter(module: torch.nn.Module) -> torch.nn.Parameter | None:
    """Return what `module.parameters()` yields first, many calls sooner."""
    for weight in module._parameters.values():
        if weight is not None:
            return weight
    for child in module._modules.values():
        found = None if child is None else first_parameter(child)
        if found is not None:
            return found
    return None


def items_in(value: Any, seen: set[int]) -> Iterator[Any]:
    """Yield what is in lists and dicts, also in those that are in themselves."""
    if not isinstance(value, (list, tuple, dict)):
        yield value
    elif id(value) not in seen:
        seen.add(id(value))
        for item in value.values() if isinstance(value, dict) else value:
            yield from items_in(item, seen)


class WeightList(list):
    """Weights of a layer of one kind: what is put in or taken out, the layer gains or loses.

    Args:
        weights: The weights.
        layer: Whose they are.
    """

    def __init__(self, weights: Iterable[Any], layer: Any) -> None:
        super().__init__(weights)
        self._layer = layer

    def append(self, value: Any) -> None:
        """Let a weight belong to the layer."""
        self._layer._track_variable(value)
        super().append(value)

    def extend(self, values: Iterable[Any]) -> None:
        """Let weights belong to the layer."""
        for value in values:
            self.append(value)

    def remove(self, value: Any) -> None:
        """Let a weight no longer belong to the layer.

        Raises:
            ValueError: It is none of these.
        """
        index = next((i for i, weight in enumerate(self) if weight is value), None)
        if index is None:
            raise ValueError(f"Layer '{self._layer.name}' has no such weight: {value!r}.")
        del self[index]

    def pop(self, index: SupportsIndex = -1) -> Any:
        """Take a weight from the layer, and return it."""
        value = self[index]
        del self[index]
        return value

    def clear(self) -> None:
        """Take all these weights from the layer."""
        del self[:]

    def __delitem__(self, index: SupportsIndex | slice) -> None:
        for value in self[index] if isinstance(index, slice) else [self[index]]:
            self._layer._untrack_variable(value)
        super().__delitem__(index)


register_tree_node(WeightList, lambda weights: (list(weights), None), lambda _, items: items)
