"""Cut a program that differs down to the few lines that make it differ.

Works on the syntax tree of any script: statements are taken away, blocks are replaced by their
bodies, arguments, list elements and decorators are dropped, numbers made small, as long as the
program goes on failing the same test. The functions that every program is given and its seed stay
as they are, or go as a whole.
"""

from __future__ import annotations

import ast
import copy
import time
from collections.abc import Callable, Iterator

from .drawing import is_given

__all__ = ["reduced"]

_BLOCKS = ("body", "orelse", "finalbody")


def reduced(source: str, fails: Callable[[str], bool], seconds: float = 60.0) -> str:
    """The smallest program found that still fails.

    Args:
        source: A script that fails.
        fails: Whether a changed one still does.
        seconds: When to stop trying.
    """
    deadline = time.monotonic() + seconds
    tree = ast.parse(source)
    seen = {ast.unparse(tree)}
    progress = True
    while progress:
        progress = False
        for moves in (_deletions, _unwrappings, _trimmings, _shrinkings):
            index = 0
            while time.monotonic() < deadline:
                move = _nth(moves(tree), index)
                if move is None:
                    break
                candidate = _changed(tree, move)
                text = ast.unparse(candidate)
                if text not in seen:
                    seen.add(text)
                    if fails(text):
                        tree, progress = candidate, True
                        continue  # what stood at `index + 1` stands here now
                index += 1
    return ast.unparse(tree) + "\n"


# A move is a path to a node (fields and indices) and what happens there.
_Path = tuple["str | int", ...]
_Move = tuple[_Path, Callable[[ast.AST], None]]


def _nth(moves: Iterator[_Move], index: int) -> _Move | None:
    for i, move in enumerate(moves):
        if i == index:
            return move
    return None


def _changed(tree: ast.Module, move: _Move) -> ast.Module:
    path, change = move
    result = copy.deepcopy(tree)
    node = result
    for step in path:
        node = node[step] if isinstance(step, int) else getattr(node, step)
    change(node)
    return ast.fix_missing_locations(result)


def _nodes(node: ast.AST, path: _Path = ()) -> Iterator[tuple[_Path, ast.AST]]:
    """The nodes that may be changed, with their paths."""
    if is_given(node):
        return
    yield path, node
    for field, value in ast.iter_fields(node):
        if isinstance(value, ast.AST):
            yield from _nodes(value, (*path, field))
        elif isinstance(value, list):
            for i, item in enumerate(value):
                if isinstance(item, ast.AST):
                    yield from _nodes(item, (*path, field, i))


def _deletions(tree: ast.Module) -> Iterator[_Move]:
    """Statements taken away, long runs first, later ones first."""
    for path, node in _nodes(tree):
        for field in _BLOCKS:
            block = getattr(node, field, None)
            if not isinstance(block, list) or not block:
                continue
            size = len(block)
            while size:
                for start in range(len(block) - size, -1, -size):

                    def delete(node: ast.AST, field=field, start=start, size=size) -> None:
                        block = getattr(node, field)
                        kept = [s for s in block[start : start + size] if _is_seed(s)]
                        block[start : start + size] = kept
                        if not block and field == "body" and not isinstance(node, ast.Module):
                            block.append(ast.Pass())

                    run = block[start : start + size]
                    if not all(isinstance(s, ast.Pass) or _is_seed(s) for s in run):
                        yield path, delete
                size //= 2


def _is_seed(statement: ast.stmt) -> bool:
    return is_given(statement) and isinstance(statement, ast.Expr)


def _unwrappings(tree: ast.Module) -> Iterator[_Move]:
    """`try`, `with`, `if` and `for` replaced by what stands in them."""
    for path, node in _nodes(tree):
        for field in _BLOCKS:
            block = getattr(node, field, None)
            for i, statement in enumerate(block if isinstance(block, list) else ()):
                if isinstance(statement, (ast.Try, ast.With, ast.If, ast.For, ast.While)):

                    def unwrap(node: ast.AST, field=field, i=i) -> None:
                        block = getattr(node, field)
                        block[i : i + 1] = block[i].body

                    yield path, unwrap


def _trimmings(tree: ast.Module) -> Iterator[_Move]:
    """Arguments, elements, bases and decorators dropped; a call replaced by its argument."""
    for path, node in _nodes(tree):
        for field in ("keywords", "elts", "decorator_list", "args", "targets"):
            items = getattr(node, field, None)
            if not isinstance(items, list) or (field == "targets" and len(items) < 2):
                continue
            for i in range(len(items) - 1, -1, -1):

                def drop(node: ast.AST, field=field, i=i) -> None:
                    del getattr(node, field)[i]

                yield path, drop
        if isinstance(node, ast.Dict):
            for i in range(len(node.keys) - 1, -1, -1):

                def drop_item(node: ast.Dict, i=i) -> None:
                    del node.keys[i], node.values[i]

                yield path, drop_item
        for field in ("value", "func"):
            inner = getattr(node, field, None)
            if isinstance(inner, ast.Call) and len(inner.args) == 1:

                def skip_call(node: ast.AST, field=field) -> None:
                    setattr(node, field, getattr(node, field).args[0])

                yield path, skip_call


def _shrinkings(tree: ast.Module) -> Iterator[_Move]:
    """Numbers made small."""
    for path, node in _nodes(tree):
        if isinstance(node, ast.Constant) and type(node.value) is int and node.value > 1:
            for smaller in (1, 2, node.value // 2):
                if smaller < node.value:

                    def shrink(node: ast.Constant, smaller=smaller) -> None:
                        node.value = smaller

                    yield path, shrink
