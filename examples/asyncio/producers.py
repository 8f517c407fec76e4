"""Twenty producers on a Queue of three: who finds it full waits."""
import asyncio

PRODUCERS, ITEMS = 20, 5
END = None  # asyncio's Queue can be closed from Python 3.13 on


async def main():
    queue = asyncio.Queue(3)
    most = waits = 0
    taken = []

    async def produce(number):
        nonlocal most, waits
        for i in range(1, ITEMS + 1):
            if queue.full():
                waits += 1
            await queue.put((number, i))
            most = max(most, queue.qsize())
            await asyncio.sleep(number % 3 * 0.001)

    async def consume():
        while (item := await queue.get()) is not END:
            taken.append(item)
            await asyncio.sleep(0.002)

    async with asyncio.TaskGroup() as group:
        group.create_task(consume())
        async with asyncio.TaskGroup() as producers:
            for number in range(1, PRODUCERS + 1):
                producers.create_task(produce(number))
        await queue.put(END)  # what is in it is still taken

    # Nothing is lost, nothing comes twice, and each producer's items come in order.
    last = {}
    for number, i in taken:
        assert last.get(number, 0) + 1 == i
        last[number] = i
    for number in range(1, PRODUCERS + 1):
        print(f"producer {number}: {last[number]} items")
    print(f"{len(taken)} items, never more than {most} in the queue, some waited: {str(waits > 0).lower()}")


asyncio.run(main())
