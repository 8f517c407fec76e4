"""A condition: wait until something holds, with the lock held when it does."""
import asyncio


async def consumer(name, condition, shelf):
    async with condition:
        print(name, "waits")
        await condition.wait_for(lambda: shelf)
        print(name, "takes", shelf.pop(0))


async def producer(condition, shelf):
    for item in ("apple", "pear"):
        await asyncio.sleep(0.02)
        async with condition:
            shelf.append(item)
            print("shelved", item)
            condition.notify()
    await asyncio.sleep(0.02)
    async with condition:
        shelf.extend(["plum", "fig"])
        print("shelved two")
        condition.notify_all()


async def main():
    condition, shelf = asyncio.Condition(), []
    async with asyncio.TaskGroup() as group:
        for name in ("ann", "bob", "cid", "dee"):
            group.create_task(consumer(name, condition, shelf))
        group.create_task(producer(condition, shelf))
    print("left:", len(shelf))


asyncio.run(main())
