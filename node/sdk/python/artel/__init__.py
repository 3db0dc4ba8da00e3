"""Artel from Python: run functions on computers that lend each other their spare time.

>>> import artel                                            # doctest: +SKIP
>>> with artel.connect() as node:                           # the node of this machine, `artel start`
...     node.run({'type': 'range_reduce', 'start': 1, 'end': 100})
5050
>>> with artel.Executor() as pool:                          # as concurrent.futures
...     list(pool.map(lambda x: x * x, range(5), chunksize=2))
[0, 1, 4, 9, 16]

Only the standard library is needed. Functions travel as source text and run in CPython 3.14 behind walls.
"""

from ._client import Artel, Job, connect
from ._dataset import Dataset
from ._errors import ArtelError, FunctionError, RemoteTraceback
from ._executor import Executor

__all__ = ['Artel', 'ArtelError', 'Dataset', 'Executor', 'FunctionError', 'Job', 'RemoteTraceback', 'connect']
__version__ = '0.1.0'
