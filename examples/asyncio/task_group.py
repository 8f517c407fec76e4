"""A TaskGroup waits for its children; the first failure cancels the others."""
import asyncio


async def work(name, delay):
    try:
        await asyncio.sleep(delay)
        print(name, "finished")
        return name
    except asyncio.CancelledError:
        print(name, "cancelled")
        raise
    finally:
        print(name, "cleaned up")


async def fail(error, delay):
    await asyncio.sleep(delay)
    raise error


async def both_fine():
    async with asyncio.TaskGroup() as group:
        one = group.create_task(work("one", 0.04))
        two = group.create_task(work("two", 0.02))
    print("results:", one.result(), two.result())


async def one_fails():
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(work("long", 10))
            group.create_task(fail(ValueError("bad value"), 0.02))
    except* ValueError as group:
        for error in group.exceptions:
            print("caught value:", error)


async def body_fails():
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(work("child", 10))
            await fail(ValueError("body failed"), 0.02)
    except ExceptionGroup as group:
        print("raised:", group.exceptions[0])


async def two_fail():
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail(ValueError("bad value"), 0))
            group.create_task(fail(KeyError("bad key"), 0))
    except* ValueError as group:
        print("values:", len(group.exceptions))
    except* KeyError as group:
        print("keys:", len(group.exceptions))


async def main():
    await both_fine()
    await one_fails()
    await body_fails()
    await two_fail()


asyncio.run(main())
