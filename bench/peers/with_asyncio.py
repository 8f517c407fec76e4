"""The works in asyncio: with_asyncio.py asyncio|uvloop WORK [ARGUMENTS]"""

import asyncio
import gc
import os
import random
import sys
import time


async def switch(tasks, switches):
    rounds = switches // tasks

    async def spin():
        for _ in range(rounds):
            await asyncio.sleep(0)

    await asyncio.gather(*[asyncio.create_task(spin()) for _ in range(tasks)])
    return rounds * tasks


async def spawn(count):
    async def body(x):
        return x

    for _ in range(count // 1000):
        tasks = [asyncio.create_task(body(i)) for i in range(1000)]
        for i, task in enumerate(tasks):
            assert await task == i
    return count


async def timers(tasks, sleeps):
    random.seed(42)

    async def doze():
        for _ in range(sleeps):
            await asyncio.sleep(random.random() * 0.01)

    await asyncio.gather(*[asyncio.create_task(doze()) for _ in range(tasks)])
    return tasks * sleeps


async def queue(capacity, items):
    items_queue = asyncio.Queue(capacity)
    total = 0

    async def produce():
        for i in range(items):
            await items_queue.put(i)

    async def consume():
        nonlocal total
        for _ in range(items):
            total += await items_queue.get()

    await asyncio.gather(asyncio.create_task(produce()), asyncio.create_task(consume()))
    assert total == items * (items - 1) // 2
    return items


async def lock(tasks, acquires):
    rounds = acquires // tasks
    the_lock = asyncio.Lock()
    acquired = 0

    async def work():
        nonlocal acquired
        for _ in range(rounds):
            async with the_lock:
                await asyncio.sleep(0)
                acquired += 1

    await asyncio.gather(*[asyncio.create_task(work()) for _ in range(tasks)])
    assert acquired == rounds * tasks
    return acquired


def settled_bytes():
    gc.collect()
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")


async def parked(tasks):
    def new_body():
        async def body():
            await asyncio.sleep(3600)

        return body

    before = settled_bytes()
    held = [asyncio.create_task(new_body()()) for _ in range(tasks)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    print(f"bytes {(settled_bytes() - before) / len(held):.0f}", flush=True)
    os._exit(0)  # cancelling them all takes far longer than the measurement


async def echo():
    async def serve(reader, writer):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    await run_server(await asyncio.start_server(serve, "127.0.0.1", 0, backlog=4096))


class EchoProtocol(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


async def echo_protocol():
    loop = asyncio.get_running_loop()
    await run_server(await loop.create_server(EchoProtocol, "127.0.0.1", 0, backlog=4096))


async def run_server(server):
    print("port", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def measure(work, arguments):
    began = time.process_time()
    count = await work(*arguments)
    print(f"ns {(time.process_time() - began) * 1e9 / count:.1f}")


WORKS = {work.__name__: work for work in (switch, spawn, timers, queue, lock, parked, echo, echo_protocol)}


def main():
    loop, work = sys.argv[1:3]
    if loop == "uvloop":
        import uvloop

        uvloop.install()
    asyncio.run(measure(WORKS[work], [int(argument) for argument in sys.argv[3:]]))


main()
