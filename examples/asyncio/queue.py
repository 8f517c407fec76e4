"""A queue of three places holds back a producer that is faster than its consumer."""
import asyncio


async def produce(queue, count):
    for i in range(1, count + 1):
        if queue.full():
            print("queue full, waiting to put", i)
        await queue.put(i)
        print("put", i, "size", queue.qsize())
    print("produced all")


async def consume(queue):
    while True:
        item = await queue.get()
        print("got", item)
        await asyncio.sleep(0.02)
        queue.task_done()


async def main():
    queue = asyncio.Queue(maxsize=3)
    consumer = asyncio.create_task(consume(queue))
    await produce(queue, 8)
    await queue.join()
    print("all work done")
    consumer.cancel()
    try:
        await consumer
    except asyncio.CancelledError:
        print("consumer cancelled")
    try:
        queue.get_nowait()
    except asyncio.QueueEmpty:
        print("queue empty")


asyncio.run(main())
