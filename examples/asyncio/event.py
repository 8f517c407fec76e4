"""An event wakes everyone who waits for it."""
import asyncio


async def runner(name, start):
    print(name, "is ready")
    await start.wait()
    print(name, "runs")


async def main():
    start = asyncio.Event()
    runners = [asyncio.create_task(runner(name, start)) for name in ("ann", "bob", "cid")]
    await asyncio.sleep(0.02)
    print("set:", "yes" if start.is_set() else "no")
    start.set()
    print("on your marks")
    await asyncio.gather(*runners)

    await runner("late dee", start)
    start.clear()
    try:
        await asyncio.wait_for(start.wait(), 0.02)
    except asyncio.TimeoutError:
        print("cleared: nobody starts")


asyncio.run(main())
