"""wait_for gives up after a while and cancels what it waited for, unless that is shielded."""
import asyncio


async def work(name, delay):
    try:
        await asyncio.sleep(delay)
        print(name, "finished")
        return name
    except asyncio.CancelledError:
        print(name, "cancelled")
        raise


async def main():
    print("in time:", await asyncio.wait_for(work("quick", 0.01), 1))

    try:
        await asyncio.wait_for(work("slow", 10), 0.03)
    except asyncio.TimeoutError:
        print("timed out")

    task = asyncio.create_task(work("shielded", 0.09))
    try:
        await asyncio.wait_for(asyncio.shield(task), 0.03)
    except asyncio.TimeoutError:
        print("timed out, yet the task lives:", "no" if task.done() else "yes")
    print("its result:", await task)

    try:
        async with asyncio.timeout(0.03):
            await work("first", 0.01)
            await work("second", 10)
    except TimeoutError:
        print("the block timed out")


asyncio.run(main())
