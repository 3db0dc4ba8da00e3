"""The Python peers: `peers.py dask | numpy`. JSON lines: first "ready", then one answer per question."""

import json
import sys
import time


def tiny(_):
    return sum(range(1, 1001))




def ms_since(started):
    return (time.perf_counter() - started) * 1000


def dask():
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

    try:
        serve({"throughput": throughput, "latencies": latencies})
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
