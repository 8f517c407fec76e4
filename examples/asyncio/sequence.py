"""Two waits of 2 and 3 seconds: one after the other they take 5, together 3."""
import asyncio


async def say_after(delay, word):
    await asyncio.sleep(delay)
    print(word)
    return word


async def timed(name, fn):
    clock = asyncio.get_running_loop().time
    began = clock()
    await fn()
    print(f"{name}: {clock() - began:.1f} s")


async def one_after_the_other():
    await say_after(2, "hello")
    await say_after(3, "world")


async def as_two_tasks():
    hello = asyncio.create_task(say_after(2, "hello"))
    world = asyncio.create_task(say_after(3, "world"))
    print(await hello, "and", await world)


async def gathered():
    words = await asyncio.gather(say_after(3, "world"), say_after(2, "hello"))
    print(" and ".join(words))


async def in_a_group():
    async with asyncio.TaskGroup() as group:
        group.create_task(say_after(2, "hello"))
        group.create_task(say_after(3, "world"))


async def main():
    await timed("one after the other", one_after_the_other)
    await timed("as two tasks", as_two_tasks)
    await timed("gathered", gathered)
    await timed("in a group", in_a_group)


asyncio.run(main())
