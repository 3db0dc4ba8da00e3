"""The Python peers: `peers.py dask | numpy`. JSON lines: first "ready", then one answer per question."""

import json
import re
import sys
import time


def tiny(_):
    return sum(range(1, 1001))


def prime(n):
    d = 2
    while d * d <= n:
        if n % d == 0:
            return 0
        d += 1
    return 1 if n > 1 else 0


def mandelbrot(p):
    a = p % 2000 / 2000 * 3 - 2
    b = p // 2000 / 2000 * 3 - 1.5
    x = y = 0.0
    steps = 0
    while steps < 500 and x * x + y * y <= 4:
        x, y = x * x - y * y + a, 2 * x * y + b
        steps += 1
    return steps


def part(work, first, last):
    return sum(work(n) for n in range(first, last + 1))


def words(text):
    return re.findall("[A-Za-z]+", text)


def ms_since(started):
    return (time.perf_counter() - started) * 1000


def dask():
    from dask import bag
    from distributed import Client, LocalCluster

    cluster = LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None
    )
    client = Client(cluster)
    serial = 0

    def throughput(tasks):
        nonlocal serial
        # other arguments each time: Dask would remember the results
        arguments = range(serial, serial + tasks)
        serial += tasks
        started = time.perf_counter()
        results = client.gather(client.map(tiny, arguments))
        return {"ms": ms_since(started), "results": results}

    def latencies(tasks):
        nonlocal serial
        samples = []
        for _ in range(tasks):
            serial += 1
            started = time.perf_counter()
            if client.submit(tiny, serial).result() != 500500:
                raise ValueError("wrong result")
            samples.append(ms_since(started))
        return samples

    def compute(name, parts):
        work = {"primes": prime, "mandelbrot": mandelbrot}[name]
        started = time.perf_counter()
        sums = client.gather([client.submit(part, work, *each, pure=False) for each in parts])
        return {"ms": ms_since(started), "sums": sums}

    def count_words(texts):
        started = time.perf_counter()
        counts = bag.from_sequence(texts, npartitions=16).map(words).flatten().frequencies().compute()
        return {"ms": ms_since(started), "counts": dict(counts)}

    try:
        serve({"throughput": throughput, "latencies": latencies, "compute": compute, "words": count_words})
    finally:
        client.close()
        cluster.close()


def numpy():
    import numpy as np

    def product(size):
        a = (np.arange(size * size) % 7 - 3.0).reshape(size, size)
        b = (np.arange(size * size) % 5 - 2.0).reshape(size, size)
        started = time.perf_counter()
        c = a @ b
        return {"ms": ms_since(started), "sum": float(c.sum())}

    serve({"product": product})


def serve(answers):
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        question = json.loads(line)
        print(json.dumps(answers[question.pop("run")](**question)), flush=True)


if __name__ == "__main__":
    {"dask": dask, "numpy": numpy}[sys.argv[1]]()
