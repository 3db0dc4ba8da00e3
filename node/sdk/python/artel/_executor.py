"""Artel as an executor of the standard library."""

from __future__ import annotations

import builtins
import concurrent.futures
import importlib
import itertools
import queue
import threading
import time
from typing import Any, Callable, Iterable, Iterator

from ._client import Artel, connect
from ._dask import batch_of, is_batch
from ._errors import ArtelError, RemoteTraceback
from ._functions import source_of
from ._pack import _pack, _unpack

GATHER_S = 0.01
MOST_CALLS = 10_000


class Executor(concurrent.futures.Executor):
    """Calls functions on the network, as `ProcessPoolExecutor` does on this machine.

    Calls of one function that come within some milliseconds travel as one job. Each call has an interpreter as new, or
    each chunk of `map`: what a function leaves in globals is gone for the next. What it raises is raised here.

    >>> with Executor() as pool:                            # doctest: +SKIP
    ...     pool.submit(pow, 2, 10)                         # FunctionError: a builtin; wrap it
    ...     pool.submit(lambda: 2 ** 10).result()
    1024

    `settings` are fields of the tasks: max_workers is not one, for the network decides; maxPrice, verify, name are.

    dask takes it as its scheduler, for tasks that are plain functions:

    >>> with Executor() as pool, dask.config.set(scheduler=pool):  # doctest: +SKIP
    ...     dask.delayed(sum)([dask.delayed(lambda x: x * x)(x) for x in range(5)]).compute()
    30
    """

    _max_workers = MOST_CALLS  # how many tasks dask gives at a time

    def __init__(self, artel: Artel | None = None, **settings: Any):
        self._artel = artel if artel is not None else connect()
        self._settings = settings
        self._calls: queue.SimpleQueue = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._stopped = False
        self._pending: set[concurrent.futures.Future] = set()
        self._jobs: list[threading.Thread] = []
        self._thread = threading.Thread(target=self._gather, name='artel-executor', daemon=True)
        self._thread.start()

    def submit(self, fn: Callable, /, *args: Any, **kwargs: Any) -> concurrent.futures.Future:
        """A future of `fn(*args, **kwargs)`. FunctionError for a function and TypeError for values that cannot travel."""
        if is_batch(fn):
            return self._send(*batch_of(*args))
        return self._send(*_calls_of(fn, [(args, kwargs)]), lambda outcomes: outcomes[0])

    def map(self, fn: Callable, *iterables: Iterable, timeout: float | None = None, chunksize: int = 1) -> Iterator:
        """As `map(fn, *iterables)`, in order. Calls of one chunk share an interpreter and one reset of its memory."""
        if chunksize < 1:
            raise ValueError('chunksize must be >= 1.')
        until = None if timeout is None else time.monotonic() + timeout
        calls = ((args, {}) for args in zip(*iterables))
        chunks = iter(lambda: list(itertools.islice(calls, chunksize)), [])
        futures = [self._send(*_calls_of(fn, chunk), list) for chunk in chunks]

        def results() -> Iterator:
            try:
                futures.reverse()
                while futures:
                    left = None if until is None else until - time.monotonic()
                    yield from futures.pop().result(left)
            finally:
                for future in futures:
                    future.cancel()

        return results()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Takes no more calls; waits for those that were taken."""
        with self._lock:
            if not self._stopped:
                self._stopped = True
                if cancel_futures:
                    for future in list(self._pending):
                        future.cancel()
                self._calls.put(None)
        if wait:
            self._thread.join()
            for thread in self._jobs:
                thread.join()

    # ---- from calls to jobs ----

    def _send(self, program: tuple, packed: list, unfold: Callable[[list], Any]) -> concurrent.futures.Future:
        with self._lock:
            if self._stopped:
                raise RuntimeError('cannot schedule new futures after shutdown')
            future: concurrent.futures.Future = concurrent.futures.Future()
            self._pending.add(future)
            self._calls.put((program, packed, unfold, future))
            return future

    def _gather(self) -> None:
        ended = False
        while not ended:
            first = self._calls.get()
            time.sleep(GATHER_S)
            groups: dict[str, list] = {}
            size = 0
            while first is not None:
                (source, context), packed, unfold, future = first
                if future.set_running_or_notify_cancel():
                    groups.setdefault(repr((source, context)), []).append(first)
                self._pending.discard(future)
                size += 1
                try:
                    first = self._calls.get_nowait() if size < MOST_CALLS else False
                except queue.Empty:
                    first = False
                if first is False:
                    break
            ended = first is None
            for group in groups.values():
                thread = threading.Thread(target=self._run, args=(group,), daemon=True)
                self._jobs = [each for each in self._jobs if each.is_alive()] + [thread]
                thread.start()

    def _run(self, group: list) -> None:
        (source, context), *_ = group[0]
        spec = {'type': 'python', 'source': source, 'items': [packed for _, packed, _, _ in group]}
        if context:
            spec['context'] = context
        try:
            with Artel(
                data=self._artel._folder,
                url=self._artel._url,
                token=self._artel._token,
                patience=self._artel._patience,
            ) as artel:
                results = artel.run(spec, **self._settings)
        except BaseException as error:  # whatever it is, who waits has to hear of it
            for *_, future in group:
                future.set_exception(error)
            return
        for (_, _, unfold, future), outcomes in zip(group, results, strict=True):
            try:
                future.set_result(unfold([_value_of(outcome) for outcome in outcomes]))
            except BaseException as error:
                future.set_exception(error)


def _calls_of(fn: Callable, calls: list) -> tuple[tuple, list]:
    return source_of(fn), [[0, _pack(tuple(args)), _pack(kwargs)] for args, kwargs in calls]


def _value_of(outcome: list) -> Any:
    if outcome[0]:
        return _unpack(outcome[1])
    _, module, name, arguments, text = outcome
    kind = getattr(builtins, name, None) if module == 'builtins' else _known(module, name)
    if isinstance(kind, type) and issubclass(kind, Exception):
        try:
            error: Exception = kind(*[_unpack(argument) for argument in arguments])
        except Exception:  # a constructor with other arguments than it keeps
            error = ArtelError(name, str(arguments))
    else:
        error = ArtelError(name, ', '.join(str(_unpack(argument)) for argument in arguments))
    raise error from RemoteTraceback(text)


def _known(module: str, name: str) -> Any:
    """An exception of the standard library; nothing else is imported at the word of a worker."""
    import sys

    if module.partition('.')[0] not in sys.stdlib_module_names or module not in sys.modules:
        return None
    return getattr(importlib.import_module(module), name, None)
