"""A node's HTTP API."""

from __future__ import annotations

import http.client
import json
import os
import pathlib
import threading
import time
import urllib.parse
import uuid
from typing import Any, Iterable, Iterator

from ._codec import decode, encode
from ._dataset import Dataset
from ._errors import ArtelError

VALUE_TYPE = 'application/vnd.artel.value'
WAIT_MS = 30_000
ANSWER_S = 60
PASSING = (429, 502, 503, 504)


def connect(
    *, data: str | os.PathLike | None = None, url: str | None = None, token: str | None = None, patience: float = 60
) -> Artel:
    """The node to compute with.

    Without arguments the running node of this machine, found through its data folder (`ARTEL_DATA`, else `~/.artel`);
    `url` and `token` name another. `patience`: seconds that it may be away, as for a restart.

    >>> with connect() as node:                             # doctest: +SKIP
    ...     node.map('def main(x):\\n  return x * x', [1, 2, 3])
    [1, 4, 9]
    """
    return Artel(data=data, url=url, token=token, patience=patience)


class Artel:
    """A connection to a node. Threads may share it."""

    def __init__(
        self,
        *,
        data: str | os.PathLike | None = None,
        url: str | None = None,
        token: str | None = None,
        patience: float = 60,
    ):
        self._folder = pathlib.Path(data or os.environ.get('ARTEL_DATA') or pathlib.Path.home() / '.artel')
        self._url = url
        self._token = token
        self._patience = patience
        self._threads = threading.local()

    def __enter__(self) -> Artel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends this thread's connection; jobs go on."""
        kept = getattr(self._threads, 'kept', None)
        if kept is not None:
            kept[1].close()
            self._threads.kept = None

    # ---- jobs ----

    def submit(self, spec: dict[str, Any], **settings: Any) -> Job:
        """Starts a task and gives its job at once. `settings` are fields of the spec: maxPrice=2, name='primes', …

        >>> job = connect().submit({'type': 'python', 'source': 'def main(x): return x', 'items': [1]})  # doctest: +SKIP
        >>> job.result()                                    # doctest: +SKIP
        [1]
        """
        answer = self.call('POST', '/tasks', {**spec, **settings}, key=str(uuid.uuid4()))
        return Job(self, answer['job']['job'])

    def run(self, spec: dict[str, Any], **settings: Any) -> Any:
        """The result of a task; a Dataset, which stays at the workers, with `keep=True`."""
        job = self.submit(spec, **settings)
        result = job.result()
        return Dataset(self, job.id) if {**spec, **settings}.get('keep') else result

    def map(self, source: str, items: Iterable[Any], **settings: Any) -> Any:
        """`main(x)` of Python source for every item, in order, as one job: a list, or a Dataset with `keep=True`.

        `settings` are fields of the spec, such as `context={'limit': 3}`, whose keys are global names of the source.
        """
        return self.run({'type': 'python', 'source': source, 'items': list(items)}, **settings)

    def stream(self, source: str, items: Iterable[Any], *, page: int = 1000, **settings: Any) -> Iterator[Any]:
        """As `map`, but results come as they are there, of pages of `page` items; two pages are under way at a time."""
        waiting: list[Job] = []
        first = 0
        chunk: list[Any] = []

        def send() -> None:
            nonlocal first, chunk
            spec = {'type': 'python', 'source': source, 'items': chunk, **({'firstIndex': first} if first else {})}
            waiting.append(self.submit(spec, **settings))
            first += len(chunk)
            chunk = []

        try:
            for item in items:
                chunk.append(item)
                if len(chunk) < page:
                    continue
                send()
                if len(waiting) == 2:
                    yield from waiting[0].result()
                    waiting.pop(0)
            if chunk:
                send()
            while waiting:
                yield from waiting[0].result()
                waiting.pop(0)
        finally:
            for job in waiting:
                job.cancel()

    def dataset(self, id: str) -> Dataset:
        """What an earlier job with `keep=True` left."""
        return Dataset(self, id)

    def job(self, id: str) -> Job:
        """A job that was started before."""
        return Job(self, id)

    def quote(self, spec: dict[str, Any]) -> dict[str, Any]:
        """What a task will cost; costs nothing."""
        return self.call('POST', '/quote', spec)

    # ---- requests ----

    def call(self, method: str, path: str, value: Any = None, *, key: str | None = None, **query: Any) -> Any:
        """One request below /api/v1; the same again while the node is away or says when to come.

        >>> connect().call('GET', '/peers')                 # doctest: +SKIP
        """
        body = None if value is None else encode(value)
        headers = {'accept': f'{VALUE_TYPE}, application/json'}
        if body is not None:
            headers['content-type'] = VALUE_TYPE
        if key is not None:
            headers['idempotency-key'] = key
        target = f'/api/v1{path}' + (f'?{urllib.parse.urlencode(query)}' if query else '')
        until = time.monotonic() + self._patience
        pause = 0.05
        while True:
            try:
                return self._once(method, target, body, headers)
            except ArtelError as error:
                wait = max(pause, getattr(error, 'retry_after', 0) or 0)
                passing = error.status in PASSING or (error.name == 'ControlError' and error.status is None)
                if not passing or time.monotonic() + wait > until:
                    raise
            time.sleep(wait)
            pause = min(2 * pause, 1)

    def _place(self) -> tuple[str, str | None]:
        if self._url is not None:
            return self._url, self._token
        try:
            url = json.loads((self._folder / 'gateway.json').read_text())['url']
            return url, self._token or (self._folder / 'gateway-token').read_text().strip()
        except (OSError, ValueError, KeyError) as error:
            raise ArtelError(
                'ControlError', f'no node with an HTTP API is running in {self._folder}; start one with: artel start'
            ) from error

    def _once(self, method: str, target: str, body: bytes | None, headers: dict[str, str]) -> Any:
        url, token = self._place()
        if token is not None:
            headers = {**headers, 'authorization': f'Bearer {token}'}
        parts = urllib.parse.urlsplit(url)
        kept = getattr(self._threads, 'kept', None)
        if kept is None or kept[0] != url:
            kind = http.client.HTTPSConnection if parts.scheme == 'https' else http.client.HTTPConnection
            kept = self._threads.kept = (url, kind(parts.hostname or '', parts.port, timeout=ANSWER_S))
        connection = kept[1]
        try:
            connection.request(method, parts.path.rstrip('/') + target, body, headers)
            response = connection.getresponse()
            data = response.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise ArtelError('ControlError', f'no node answers at {url} ({error}); start one with: artel start') from error
        if response.status == 204:
            return None
        if response.status < 300:
            is_value = response.headers.get_content_type() == VALUE_TYPE
            return decode(data) if is_value else json.loads(data)
        raise _problem(response, data)


def _problem(response: http.client.HTTPResponse, data: bytes) -> ArtelError:
    try:
        said = json.loads(data)
        error = ArtelError(said['title'], said['detail'], status=response.status, failure=said.get('failure'))
    except (ValueError, KeyError, TypeError):
        error = ArtelError('ControlError', f'the node answers {response.status}: {data[:200]!r}', status=response.status)
    after = response.headers.get('retry-after', '')
    error.retry_after = float(after) if after.isdigit() else None  # type: ignore[attr-defined]
    return error


class Job:
    """A job of the node; it goes on when this program ends."""

    def __init__(self, artel: Artel, id: str):
        self._artel = artel
        self.id = id

    def __repr__(self) -> str:
        return f'Job({self.id!r})'

    def result(self, timeout: float | None = None) -> Any:
        """Waits for the end. ArtelError (JobFailedError, JobCancelledError, …) where there is no result, TimeoutError."""
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            left = WAIT_MS if until is None else max(0, min(WAIT_MS, round(1000 * (until - time.monotonic()))))
            try:
                return self._artel.call('GET', f'/tasks/{self.id}/result', wait=left)
            except ArtelError as error:
                if error.name != 'NotFinishedError':
                    raise
            if until is not None and time.monotonic() >= until:
                raise TimeoutError(f'{self.id} still runs after {timeout} s')

    def report(self) -> dict[str, Any]:
        """Where it stands: state, workers, what it costs, why it waits."""
        return self._artel.call('GET', f'/tasks/{self.id}')

    def cancel(self) -> dict[str, Any]:
        """Ends it; what was accepted is paid."""
        return self._artel.call('POST', f'/tasks/{self.id}/cancel')
