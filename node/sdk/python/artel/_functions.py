"""A function as source text that defines it somewhere else."""

from __future__ import annotations

import ast
import builtins
import dis
import functools
import importlib.resources
import inspect
import linecache
import sys
import types
from typing import Any, Callable

from ._errors import FunctionError
from ._pack import _pack

PACKING = importlib.resources.files(__package__).joinpath('_pack.py').read_text('utf-8')

CALLS = '''
def main(calls):
    """What each call gives or raises."""
    import asyncio, inspect, traceback
    outcomes = []
    for number, args, kwargs in calls:
        try:
            value = _functions[number](*_unpack(args), **_unpack(kwargs))
            if inspect.iscoroutine(value):
                value = asyncio.run(value)
            outcomes.append([True, _pack(value)])
        except MemoryError:
            raise
        except Exception as error:
            text = ''.join(traceback.format_exception(error))
            try:
                arguments = [_pack(argument) for argument in error.args]
            except TypeError:
                arguments = [str(error)]
            outcomes.append([False, type(error).__module__, type(error).__qualname__, arguments, text])
    return outcomes
'''


def source_of(*functions: Callable, more: str = '') -> tuple[str, dict[str, Any]]:
    """Python that defines `main(calls)` for calls of these functions, and the values that they use, as `context` of a task.

    Plain functions and lambdas travel, with the functions, modules of the standard library and plain values that
    they name. FunctionError says what does not. `more` may add to the list `_functions`.
    """
    travel = _Travel()
    names = ', '.join(f'_f{travel.add(fn)}' for fn in functions)
    order = f'_functions = [{names}]\n'
    return PACKING + ''.join(travel.parts) + order + more + CALLS, travel.values


class _Travel:
    def __init__(self) -> None:
        self.parts: list[str] = []
        self.values: dict[str, Any] = {}
        self.numbers: dict[Callable, int] = {}

    def add(self, fn: Callable) -> int:
        """The number n of `_f{n}`, which is the function there."""
        _check(fn)
        if fn in self.numbers:
            return self.numbers[fn]
        number = self.numbers[fn] = len(self.numbers)
        name, text_of_it = _text_of(fn)
        lines = []
        for used, value in _names_of(fn).items():
            lines.append(self.bind(used, value, fn, name))
        defaults = [self.value(each, f'a default of {_called(fn)}') for each in fn.__defaults__ or ()]
        keywords = {
            key: self.value(each, f'a default of {_called(fn)}') for key, each in (fn.__kwdefaults__ or {}).items()
        }
        # a scope of its own: two functions may mean different things by one name
        scope = ast.parse(f'def _make{number}(): pass')
        scope.body[0].body = ast.parse('\n'.join([*lines, text_of_it, f'return {name}'])).body
        self.parts.append(f'{ast.unparse(scope)}\n_f{number} = _make{number}()\n')
        if defaults:
            self.parts.append(f'_f{number}.__defaults__ = ({"".join(f"{each}, " for each in defaults)})\n')
        if keywords:
            pairs = ', '.join(f'{key!r}: {each}' for key, each in keywords.items())
            self.parts.append(f'_f{number}.__kwdefaults__ = {{{pairs}}}\n')
        return number

    def value(self, value: Any, what: str) -> str:
        key = f'_value{len(self.values)}'
        try:
            self.values[key] = _pack(value)
        except TypeError as error:
            raise FunctionError(f'{what}: {error}') from None
        return f'_unpack({key})'

    def bind(self, used: str, value: Any, fn: Callable, own: str) -> str:
        """A line that makes the name mean what it means here."""
        if isinstance(value, types.ModuleType):
            _check_module(value.__name__, used, fn)
            return f'import {value.__name__} as {used}' if used != value.__name__ else f'import {used}'
        if value is fn:
            return '' if used == own else f'{used} = lambda *args, **kwargs: {own}(*args, **kwargs)'
        module = library_of(value)
        if module:
            return f'from {module} import {value.__name__} as {used}'
        if isinstance(value, types.FunctionType):
            if value in self.numbers:
                return f'{used} = lambda *args, **kwargs: _f{self.numbers[value]}(*args, **kwargs)'
            return f'{used} = _f{self.add(value)}'
        if callable(value):
            raise FunctionError(
                f'{_called(fn)} uses `{used}`, {_kind_of(value)}, which does not travel; write it into the function'
            )
        return f'{used} = {self.value(value, f"`{used}`, which {_called(fn)} uses")}'


def _called(fn: Callable) -> str:
    return getattr(fn, '__qualname__', repr(fn)).rpartition('.<locals>.')[2]


def _kind_of(value: Any) -> str:
    kinds = [
        (functools.partial, 'a partial'),
        (types.MethodType, 'a method'),
        (types.BuiltinFunctionType, 'a builtin'),
        (type, 'a class'),
    ]
    return next((name for kind, name in kinds if isinstance(value, kind)), f'a {type(value).__name__}')


def _check(fn: Callable) -> None:
    if not isinstance(fn, types.FunctionType):
        called = getattr(fn, '__qualname__', type(fn).__qualname__)
        raise FunctionError(
            f'{called} is {_kind_of(fn)}, which has no text of its own; wrap it: lambda x: …(x)'
        )
    if hasattr(fn, '__wrapped__'):
        raise FunctionError(f'{_called(fn)} is decorated, and the decorator does not travel; give the function itself')


def library_of(value: Any) -> str | None:
    """The module of the standard library that has it under its name."""
    module = getattr(value, '__module__', None)
    if not module or not _is_library(module):
        return None
    return module if getattr(sys.modules.get(module), getattr(value, '__name__', ''), None) is value else None


def _is_library(module: str) -> bool:
    return module.partition('.')[0] in sys.stdlib_module_names or module == 'builtins'


def _check_module(module: str, used: str, fn: Callable) -> None:
    if not _is_library(module):
        raise FunctionError(
            f'{_called(fn)} uses `{used}`, the module {module}, which is not in the standard library and not there'
        )


def _names_of(fn: Callable) -> dict[str, Any]:
    """What the names mean that a function does not define itself."""
    found: dict[str, Any] = {}
    for name, cell in zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:
            raise FunctionError(f'{_called(fn)} uses `{name}`, which has no value yet') from None
    todo = [fn.__code__]
    while todo:
        code = todo.pop()
        todo += [each for each in code.co_consts if isinstance(each, types.CodeType)]
        for step in dis.get_instructions(code):
            if step.opname in ('LOAD_GLOBAL', 'LOAD_NAME') and step.argval not in found:
                if step.argval in fn.__globals__:
                    found[step.argval] = fn.__globals__[step.argval]
                elif not hasattr(builtins, step.argval) and step.argval not in code.co_varnames:
                    raise FunctionError(f'{_called(fn)} uses `{step.argval}`, which is not defined')
            if step.opname in ('STORE_GLOBAL', 'DELETE_GLOBAL'):
                raise FunctionError(
                    f'{_called(fn)} assigns to the global `{step.argval}`, which nobody here would see; return it'
                )
    return found


def _text_of(fn: Callable) -> tuple[str, str]:
    """The name that the text binds, and the text; defaults are None, for their values come by themselves."""
    if fn.__code__ not in _texts:
        node = _node_of(fn)
        node.args.defaults = [ast.Constant(None) for _ in node.args.defaults]
        node.args.kw_defaults = [each and ast.Constant(None) for each in node.args.kw_defaults]
        if isinstance(node, ast.Lambda):
            _texts[fn.__code__] = ('_lambda', f'_lambda = {ast.unparse(node)}')
        else:
            node.decorator_list = []
            _texts[fn.__code__] = (node.name, ast.unparse(node))
    return _texts[fn.__code__]


_texts: dict[types.CodeType, tuple[str, str]] = {}


def _node_of(fn: Callable) -> Any:
    code = fn.__code__
    try:
        file = inspect.getsourcefile(fn)
        lines = linecache.getlines(file, fn.__globals__) if file else []
        tree = ast.parse(''.join(lines))
    except (TypeError, SyntaxError):
        lines = []
    if not lines:
        raise FunctionError(f'{_called(fn)} has no source text here (typed at a prompt?); put it into a file')
    kind = ast.Lambda if fn.__name__ == '<lambda>' else (ast.FunctionDef, ast.AsyncFunctionDef)
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, kind):
            continue
        first = min([node.lineno, *(each.lineno for each in getattr(node, 'decorator_list', []))])
        if first == code.co_firstlineno and (isinstance(node, ast.Lambda) or node.name == fn.__name__):
            found.append(node)
    # where several lambdas begin in a line, the places of the instructions tell them apart
    places = [place for place in code.co_positions() if None not in place and place[2] != place[3]]
    if len(found) > 1 and places:
        line, _, column, _ = places[-1]
        inside = [
            node
            for node in found
            if (node.lineno, node.col_offset) <= (line, column) < (node.end_lineno, node.end_col_offset)
        ]
        found = inside
    if len(found) != 1:
        raise FunctionError(f'{_called(fn)}: {len(found)} functions begin in its line; put it into a line of its own')
    return found[0]

