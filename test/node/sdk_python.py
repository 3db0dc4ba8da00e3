"""The Python SDK: `python3 -m unittest sdk_python`, with ARTEL_DATA of a running node and VECTORS of the codec."""

import array
import concurrent.futures
import functools
import json
import math
import os
import random
import threading
import unittest

import artel
import dask
from artel._codec import decode, encode
from artel._dask import NODES, batch_of
from artel._functions import source_of
from artel._pack import _pack, _unpack

FACTOR = 3


def scaled(x, by=FACTOR, *, plus=0.5):
    """two
    lines"""
    return helper(x) * by + plus


def helper(x):
    return math.sqrt(x)


def factorial(n):
    return 1 if n < 2 else n * factorial(n - 1)


def adder(n):
    return lambda x: x + n


def work(kind, x=None):
    if kind == 'value':
        return x
    if kind == 'divide':
        return 1 // 0
    if kind == 'key':
        return {}[x]
    if kind == 'module':
        return scaled(x), factorial(5), add_two(1), first(1), second(1)


def packed(*args, c):
    return *args, c


class Own(Exception):
    pass


add_two = adder(2)
first, second = lambda x: x + 10, lambda x: x + 20


def undefined():
    return there_is_no_such_name  # noqa: F821


def assigns():
    global FACTOR
    FACTOR = 4


class Local(unittest.TestCase):
    def test_codec_has_the_bytes_of_the_node(self):
        with open(os.environ['VECTORS']) as file:
            for vector in json.load(file):
                self.assertEqual(encode(decode(bytes.fromhex(vector))).hex(), vector)
        self.assertEqual(encode({'b': 1, '10': 2, '9': 3}), encode({'9': 3, '10': 2, 'b': 1}))
        for value in [{1: 2}, {1, 2}, object()]:
            with self.assertRaises(TypeError):
                encode(value)
        for data in [b'', b'\x82\x01', b'\x01\x01', b'\xfc', b'\xd8\x29\x40', b'\x9f']:
            with self.assertRaises(ValueError):
                decode(data)

    def test_packing_loses_nothing(self):
        values = [
            *(None, True, 1, 2**90, -(2**90), 1.0, -0.0, 0.5, math.inf, 1e300, 'a', b'b', bytearray(b'c'), 3 + 0j),
            *((1, (2.0,)), {1, 2}, frozenset('a'), {(1, 2): [3], '~t': 4}, {'10': 1, '9': 2}, range(3, 9, 2)),
            array.array('d', [1.0, 2.0]),
        ]
        for value in values:
            back = _unpack(decode(encode(_pack(value))))
            self.assertEqual((repr(back), type(back)), (repr(value), type(value)))
        self.assertEqual(list(_unpack(decode(encode(_pack({'10': 1, '9': 2}))))), ['10', '9'])
        cyclic = []
        cyclic.append(cyclic)
        for value in [object(), Own('x'), cyclic]:
            with self.assertRaises(TypeError):
                _pack(value)

    def test_what_cannot_travel_is_refused_by_name(self):
        lock = threading.Lock()
        refused = [
            (len, 'len is a builtin'),
            (functools.partial(work, 1), 'is a partial'),
            (self.test_codec_has_the_bytes_of_the_node, 'is a method'),
            (Own, 'Own is a class'),
            (functools.wraps(work)(lambda: 1), 'decorated'),
            (undefined, '`there_is_no_such_name`, which is not defined'),
            (assigns, 'assigns to the global `FACTOR`'),
            (lambda: artel.connect(), '`artel`, the module artel'),
            (lambda: lock.acquire(), '`lock`'),
            (lambda: Own(), '`Own`, a class'),
            (eval('lambda: 1'), 'has no source text'),
        ]
        for fn, message in refused:
            with self.assertRaisesRegex(artel.FunctionError, message):
                source_of(fn)

    def test_what_a_node_of_dask_is_given_is_itself_also_where_it_looks_like_a_key(self):
        def node(kind, **fields):
            made = type(kind, (), {'__module__': NODES})()
            vars(made).update(fields)
            return made

        args = (node('TaskRef', key='a'), 'a', ['a', ('a', 1)])
        task = node('Task', func=packed, args=args, kwargs={'c': 'a'})
        program, calls, unfold = batch_of([('b', (task, {'a': 5}), lambda given: given[0], None, lambda: None, None)])
        scope = dict(program[1])
        exec(program[0], scope)
        [outcome] = scope['main'](calls)
        self.assertEqual(unfold([_unpack(outcome[1])]), [('b', (5, 'a', ['a', ('a', 1)], 'a'), False)])


class OnTheNetwork(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.node = artel.connect(patience=120)
        cls.pool = artel.Executor(cls.node)

    @classmethod
    def tearDownClass(cls):
        cls.pool.shutdown()

    def test_submit_gives_what_it_gives_here(self):
        futures = [self.pool.submit(work, 'value', x=(1, 2.0, {3})), self.pool.submit(work, 'module', 16)]
        self.assertIsInstance(futures[0], concurrent.futures.Future)
        done, waiting = concurrent.futures.wait(futures, timeout=240)
        self.assertEqual((len(done), len(waiting)), (2, 0))
        self.assertEqual(futures[0].result(), (1, 2.0, {3}))
        self.assertEqual(futures[1].result(), work('module', 16))

    def test_exceptions_are_raised_here(self):
        calls = [('divide', ZeroDivisionError), ('key', KeyError)]
        futures = [(self.pool.submit(work, kind, 'k'), error) for kind, error in calls]
        for future, error in futures:
            with self.assertRaises(error) as caught:
                future.result(240)
            self.assertIsInstance(caught.exception.__cause__, artel.RemoteTraceback)
            self.assertIn('in work', str(caught.exception.__cause__))
        self.assertEqual(futures[1][0].exception().args, ('k',))

    def test_map_is_in_order_whatever_the_chunk(self):
        expected = [(x * FACTOR, y) for x, y in zip(range(10), 'abcdefghij')]
        for chunksize in (1, 4, 100):
            found = self.pool.map(lambda x, y: (x * FACTOR, y), range(10), 'abcdefghij', chunksize=chunksize)
            self.assertEqual(list(found), expected)
        with self.assertRaises(ValueError):
            self.pool.map(work, [1], chunksize=0)

    def test_chance_is_the_same_again(self):
        draw = lambda x: random.random()
        once = list(self.pool.map(draw, range(3)))
        self.assertEqual(list(self.pool.map(draw, range(3))), once)
        self.assertEqual(len(set(once)), 3)

    def test_shutdown_and_cancel(self):
        pool = artel.Executor(self.node)
        gate = threading.Event()
        pool._run = lambda group: gate.wait(1)  # nothing of these calls leaves
        futures = [pool.submit(work, 'value', i) for i in range(3)]
        pool.shutdown(wait=False, cancel_futures=True)
        gate.set()
        self.assertTrue(all(future.cancelled() or future.running() for future in futures))
        with self.assertRaisesRegex(RuntimeError, 'after shutdown'):
            pool.submit(work, 'value', 1)

    def test_tasks_of_every_type_jobs_and_streams(self):
        self.assertEqual(self.node.run({'type': 'range_reduce', 'start': 1, 'end': 100, 'operation': 'sum'}), 5050)
        job = self.node.submit({'type': 'map', 'items': [1, 2], 'fn': 'x => x * 2'}, name='doubled')
        self.assertEqual(job.result(timeout=240), [2, 4])
        self.assertEqual(self.node.job(job.id).report()['name'], 'doubled')
        source = 'def main(x):\n  return x + by'
        stream = self.node.stream(source, iter(range(5)), page=2, context={'by': 1})
        self.assertEqual(list(stream), [1, 2, 3, 4, 5])
        with self.assertRaises(artel.ArtelError) as caught:
            self.node.run({'type': 'python', 'source': source, 'items': [1], 'nonsense': 1})
        self.assertEqual(caught.exception.name, 'SpecError')


class Datasets(unittest.TestCase):
    def test_stay_at_workers_and_are_taken_by_further_jobs(self):
        node = artel.connect(patience=120)
        with node.map('def main(x):\n  return x * x', range(3000), keep=True) as squares:
            odd = squares.run({'type': 'filter', 'fn': 'x => x % 2 === 1'}, keep=True)
            self.assertEqual(list(odd), [x * x for x in range(1, 3000, 2)])
            self.assertEqual(len(node.dataset(odd.id)), 1500)
            halved = odd.map('def main(x):\n  return x // 2', keep=True)
            whole = halved.run({'type': 'map_reduce', 'map': 'x => x', 'reduce': 'sum'})
            self.assertEqual(whole, sum(x * x // 2 for x in range(1, 3000, 2)))
        with self.assertRaises(artel.ArtelError) as caught:
            len(squares)
        self.assertEqual(caught.exception.name, 'DatasetMissingError')


class AsSchedulerOfDask(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.pool = artel.Executor(artel.connect(patience=120))
        cls.enterClassContext(dask.config.set(scheduler=cls.pool))

    @classmethod
    def tearDownClass(cls):
        cls.pool.shutdown()

    def test_graphs_of_plain_functions(self):
        square = dask.delayed(lambda x: x * x)
        squares = [square(x) for x in range(20)]
        total = dask.delayed(sum)(squares)
        shifted = dask.delayed(scaled)(total, by=total - 2468, plus=square(1))
        computed = dask.compute(total, squares[3] + squares[4], {'roots': [shifted, (squares[2], 'x')]}, len)
        self.assertEqual(computed, (2470, 25, {'roots': [math.sqrt(2470) * 2 + 1, (4, 'x')]}, len))

    def test_exceptions_are_raised_here(self):
        with self.assertRaises(ZeroDivisionError):
            dask.delayed(scaled)(dask.delayed(work)('divide')).compute()

    def test_what_cannot_travel_is_refused_by_name(self):
        with self.assertRaisesRegex(artel.FunctionError, 'Own is a class'):
            dask.delayed(Own)('x').compute()


class Nobody(unittest.TestCase):
    def test_says_that_no_node_answers(self):
        for place in ({'data': '/nowhere'}, {'url': 'http://127.0.0.1:9', 'token': 'x'}):
            with self.assertRaises(artel.ArtelError) as caught:
                artel.connect(**place, patience=0).run({'type': 'map', 'items': [], 'fn': 'x'})
            self.assertEqual(caught.exception.name, 'ControlError')


if __name__ == '__main__':
    unittest.main()
