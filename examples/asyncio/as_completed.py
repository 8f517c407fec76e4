"""as_completed gives tasks as they finish."""
import asyncio


async def download(name, delay):
    await asyncio.sleep(delay)
    if name == "broken":
        raise OSError("connection lost")
    return name


async def main():
    jobs = [download("large", 0.12), download("small", 0.03), download("broken", 0.06), download("medium", 0.09)]
    for finished in asyncio.as_completed(jobs):
        try:
            print("got", await finished)
        except OSError as error:
            print("failed:", error)

    tasks = [asyncio.create_task(download(name, delay)) for name, delay in [("tortoise", 10), ("hare", 0.03)]]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    print("first:", ", ".join(task.result() for task in done))
    print("still running:", len(pending))
    for task in pending:
        task.cancel()
    await asyncio.wait(pending)
    print("tortoise cancelled:", "yes" if tasks[0].cancelled() else "no")


asyncio.run(main())
