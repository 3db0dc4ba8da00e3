"""Results that stayed at the workers that made them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterator

from ._errors import ArtelError

if TYPE_CHECKING:
    from ._client import Artel

PAGE = 1000


class Dataset:
    """What a job with `keep=True` made; further jobs take it where it is. `id` is that of the job.

    >>> with connect() as node:                             # doctest: +SKIP
    ...     with node.map('def main(x):\\n  return x * x', range(1000), keep=True) as squares:
    ...         odd = squares.run({'type': 'filter', 'fn': 'x => x % 2 === 1'}, keep=True)
    ...         len(odd), odd.run({'type': 'map_reduce', 'map': 'x => x', 'reduce': 'sum'})
    (500, 166666500)
    """

    def __init__(self, artel: Artel, id: str):
        self._artel = artel
        self.id = id

    def __repr__(self) -> str:
        return f'Dataset({self.id!r})'

    def __enter__(self) -> Dataset:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def run(self, spec: dict[str, Any], **settings: Any) -> Any:
        """The result of a task over its items; another Dataset with `keep=True`."""
        return self._artel.run({**spec, 'items': {'dataset': self.id}}, **settings)

    def map(self, source: str, **settings: Any) -> Any:
        """`main(x)` of Python source for every item."""
        return self.run({'type': 'python', 'source': source}, **settings)

    def __len__(self) -> int:
        return self._artel.call('GET', f'/datasets/{self.id}/count')['items']

    def __iter__(self) -> Iterator[Any]:
        """Its items, a page at a time; what nobody has any more is calculated again."""
        first, count = 0, len(self)
        while first < count:
            page = self._artel.call('GET', f'/datasets/{self.id}/items', first=first, limit=PAGE)
            if not page:
                raise ArtelError('DatasetMissingError', f'{self.id} has {count} items, and none came from {first} on')
            yield from page
            first += len(page)

    def release(self) -> None:
        """Lets the workers forget it at once, not an hour after its last use."""
        self._artel.call('DELETE', f'/datasets/{self.id}')
