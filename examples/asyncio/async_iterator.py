"""An async iterator and an async generator."""
import asyncio
from contextlib import aclosing


class Countdown:
    """An object with the state of an iteration."""

    def __init__(self, start):
        self.left = start

    def __aiter__(self):
        return self

    async def __anext__(self):
        if self.left == 0:
            raise StopAsyncIteration
        await asyncio.sleep(0.01)
        self.left -= 1
        return self.left + 1


async def ticks(name, delay):
    """A generator: its body waits where it likes, and its cleanup runs however the loop is left."""
    try:
        for i in range(1, 6):
            await asyncio.sleep(delay)
            yield name, i
    finally:
        print(name, "is closed")


async def consume(name, delay):
    async for _, i in ticks(name, delay):
        print(name, i)


async def failing():
    yield 1
    raise ValueError("no more")


async def main():
    async for i in Countdown(3):
        print("countdown", i)

    async for name, i in ticks("whole", 0.01):
        print(name, i)

    async with aclosing(ticks("half", 0.01)) as half:
        async for name, i in half:
            print(name, i)
            if i == 2:
                break

    # Two at the same time, each in a task.
    async with asyncio.TaskGroup() as group:
        group.create_task(consume("slow", 0.035))
        group.create_task(consume("fast", 0.02))

    # What is made of them: a comprehension.
    squares = [i * i async for i in Countdown(5) if i % 2 == 1]
    print(*squares)

    # An error comes out of the step.
    try:
        async for i in failing():
            print("got", i)
    except ValueError as error:
        print("error:", error)


asyncio.run(main())
