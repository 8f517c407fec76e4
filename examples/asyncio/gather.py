"""gather runs everything at once and keeps the order of its arguments."""
import asyncio


async def fetch(name, delay):
    print("fetching", name)
    await asyncio.sleep(delay)
    print("fetched", name)
    return name.upper()


async def broken():
    raise ValueError("no route")


async def main():
    results = await asyncio.gather(fetch("slow", 0.09), fetch("fast", 0.03), fetch("medium", 0.06))
    print(", ".join(results))

    results = await asyncio.gather(fetch("one", 0), broken(), fetch("two", 0), return_exceptions=True)
    for result in results:
        print("error" if isinstance(result, Exception) else result)

    survivor = asyncio.create_task(fetch("survivor", 0.03))
    try:
        await asyncio.gather(broken(), survivor)
    except ValueError as error:
        print("gather raised:", error)
    print(await survivor)


asyncio.run(main())
