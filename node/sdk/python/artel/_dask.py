"""Tasks of dask as calls whose functions travel.

dask gives its tasks to the pool that is its scheduler as calls of a function of its own, which would need dask, and
pickles of functions, on the worker.
"""

from __future__ import annotations

from typing import Any, Callable

from ._functions import library_of, source_of
from ._pack import _pack

# where newer versions have what their graphs are made of
NODES = 'dask._task_spec'

# what a task gives, once its keys are values: dask.core._execute_task, dask._task_spec.Task.__call__
TASK = '''
def _task(plan):
    import importlib
    what, *parts = plan
    if what == 'value':
        return parts[0]
    if what == 'library':
        return getattr(importlib.import_module(parts[0]), parts[1])
    if what == 'function':
        return _functions[parts[0]]
    if what == 'list':
        return [_task(part) for part in parts]
    fn, args, kwargs = parts
    return _task(fn)(*_task(args), **{name: _task(part) for name, part in kwargs.items()})

_functions.append(_task)
'''


def is_batch(fn: Callable) -> bool:
    """Is it the function that dask gives to a pool?"""
    return getattr(fn, '__module__', None) == 'dask.local' and fn.__name__ == 'batch_execute_tasks'


def batch_of(tasks: list) -> tuple[tuple[str, dict], list, Callable[[list], list]]:
    """The program for some tasks, their calls, and what makes of the outcomes what dask's own function gives.

    FunctionError for tasks that call what does not travel, as those of dask.array, dask.dataframe and dask.bag do.
    """
    functions: dict[Callable, int] = {}
    plans = [_plan(*task_info, functions) for _, task_info, *_ in tasks]

    def unfold(values: list) -> list:
        return [
            (key, dumps((value, get_id())), False)
            for (key, _, dumps, _, get_id, _), value in zip(tasks, values, strict=True)
        ]

    calls = [[len(functions), _pack((plan,)), {}] for plan in plans]
    return source_of(*functions, more=TASK), calls, unfold


def _plan(task: Any, data: dict, functions: dict[Callable, int]) -> list:
    def plan(part: Any) -> list:
        kind = type(part)
        if kind.__module__ == NODES:
            return node(part, kind.__name__)
        if kind is list:
            return ['list', *map(plan, part)]
        if kind is tuple and part and callable(part[0]):
            return call(plan, part[0], part[1:])
        return value(data[part] if _is_key(part, data) else part)

    def given(part: Any) -> list:
        """What a node is given is itself, also where it looks like a key or a task of the dask before nodes."""
        kind = type(part)
        if kind.__module__ == NODES:
            return node(part, kind.__name__)
        return ['list', *map(given, part)] if kind is list else value(part)

    def node(part: Any, kind: str) -> list:
        if kind in ('TaskRef', 'Alias'):
            return value(data[part.key if kind == 'TaskRef' else part.target])
        if kind == 'DataNode':
            return value(part.value)
        if not hasattr(part, 'klass'):
            return call(given, part.func, part.args, part.kwargs)
        items = ['list', *map(given, part.args)]
        if part.klass is dict:
            items = ['list', *(['list', *pair] for pair in zip(items[1::2], items[2::2]))]
        return ['call', value(part.klass), ['list', items], {}]

    def call(each: Callable, fn: Callable, args: tuple, kwargs: dict | None = None) -> list:
        named = {name: each(arg) for name, arg in (kwargs or {}).items()}
        return ['call', value(fn), ['list', *map(each, args)], named]

    def value(it: Any) -> list:
        if not callable(it):
            return ['value', it]
        module = library_of(it)
        return ['library', module, it.__name__] if module else ['function', functions.setdefault(it, len(functions))]

    return plan(task)


def _is_key(part: Any, data: dict) -> bool:
    try:
        return part in data
    except TypeError:  # what has no hash is no key
        return False
