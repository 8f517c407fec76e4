"""async with: what is opened and closed may wait. Whatever way the block is left, it is closed, the last one first."""
import asyncio

KINDS = {ValueError: "value", asyncio.CancelledError: "cancelled"}


class Connection:
    def __init__(self, name):
        self.name = name

    async def __aenter__(self):
        print("opening", self.name)
        await asyncio.sleep(0.01)
        return self

    async def __aexit__(self, kind, error, traceback):
        await asyncio.sleep(0.01)
        print("closed", self.name + (" by " + KINDS[kind] if kind else ""))

    async def query(self, text):
        await asyncio.sleep(0.01)
        if text == "bad":
            raise ValueError("bad query")
        return f"{self.name}: {text}"


async def first():
    async with Connection("db") as db:
        return await db.query("four")


async def sleep_inside():
    async with Connection("db"):
        await asyncio.sleep(60)


async def main():
    async with Connection("db") as db:
        print(await db.query("one"))

    # Several at once.
    async with Connection("db") as db, Connection("cache") as cache:
        print(f"{await cache.query('two')}, {await db.query('three')}")

    # Left by return.
    print(await first())

    # Left by an error.
    try:
        async with Connection("db") as db:
            await db.query("bad")
    except ValueError as error:
        print("error:", error)

    # Left by a cancellation.
    task = asyncio.create_task(sleep_inside())
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.wait([task])
    print("cancelled:", str(task.cancelled()).lower())


asyncio.run(main())
