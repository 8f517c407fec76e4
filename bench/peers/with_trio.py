"""The works in Trio: with_trio.py WORK [ARGUMENTS]"""

import functools
import gc
import os
import random
import sys
import time

import trio


async def switch(tasks, switches):
    rounds = switches // tasks

    async def spin():
        for _ in range(rounds):
            await trio.sleep(0)

    async with trio.open_nursery() as nursery:
        for _ in range(tasks):
            nursery.start_soon(spin)
    return rounds * tasks


async def spawn(count):
    async def body(results, x):
        results[x] = x

    for _ in range(count // 1000):
        results = [None] * 1000
        async with trio.open_nursery() as nursery:
            for i in range(1000):
                nursery.start_soon(body, results, i)
        assert results == list(range(1000))
    return count


async def timers(tasks, sleeps):
    random.seed(42)

    async def doze():
        for _ in range(sleeps):
            await trio.sleep(random.random() * 0.01)

    async with trio.open_nursery() as nursery:
        for _ in range(tasks):
            nursery.start_soon(doze)
    return tasks * sleeps


async def queue(capacity, items):
    sender, receiver = trio.open_memory_channel(capacity)
    total = 0

    async def produce():
        for i in range(items):
            await sender.send(i)

    async def consume():
        nonlocal total
        for _ in range(items):
            total += await receiver.receive()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(produce)
        nursery.start_soon(consume)
    assert total == items * (items - 1) // 2
    return items


async def lock(tasks, acquires):
    rounds = acquires // tasks
    the_lock = trio.Lock()
    acquired = 0

    async def work():
        nonlocal acquired
        for _ in range(rounds):
            async with the_lock:
                await trio.sleep(0)
                acquired += 1

    async with trio.open_nursery() as nursery:
        for _ in range(tasks):
            nursery.start_soon(work)
    assert acquired == rounds * tasks
    return acquired


def settled_bytes():
    gc.collect()
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")


async def parked(tasks):
    def new_body():
        async def body():
            await trio.sleep(3600)

        return body

    before = settled_bytes()
    async with trio.open_nursery() as nursery:
        for _ in range(tasks):
            nursery.start_soon(new_body())
        await trio.sleep(0)
        await trio.sleep(0)
        print(f"bytes {(settled_bytes() - before) / tasks:.0f}", flush=True)
        os._exit(0)  # cancelling them all takes far longer than the measurement


async def echo():
    async def serve(stream):
        async for data in stream:
            await stream.send_all(data)

    async with trio.open_nursery() as nursery:
        open_server = functools.partial(trio.serve_tcp, serve, 0, host="127.0.0.1", backlog=4096)
        listeners = await nursery.start(open_server)
        print("port", listeners[0].socket.getsockname()[1], flush=True)


async def measure(work, arguments):
    began = time.process_time()
    count = await work(*arguments)
    print(f"ns {(time.process_time() - began) * 1e9 / count:.1f}")


WORKS = {work.__name__: work for work in (switch, spawn, timers, queue, lock, parked, echo)}

trio.run(measure, WORKS[sys.argv[1]], [int(argument) for argument in sys.argv[2:]])
