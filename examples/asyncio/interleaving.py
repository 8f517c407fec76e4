"""sleep(0) lets every other ready task run once."""
import asyncio


async def count(name, last):
    for i in range(1, last + 1):
        print(name, i)
        await asyncio.sleep(0)
    print(name, "done")


async def main():
    tasks = [asyncio.create_task(count(name, last)) for name, last in [("a", 3), ("b", 1), ("c", 2)]]
    print("spawned, none has run")
    for task in tasks:
        await task
    print("all done")


asyncio.run(main())
