"""wait: until the first of several tasks has ended, the first that failed, or all of them."""
import asyncio


async def work(name, delay, fails=False):
    await asyncio.sleep(delay)
    if fails:
        raise ValueError(name + " failed")
    return name


def names(tasks):
    return " ".join(sorted(task.get_name() for task in tasks)) or "none"


def start(name, *args):
    return asyncio.create_task(work(name, *args), name=name)


async def main():
    tasks = [start("slow", 0.3), start("quick", 0.1), start("middling", 0.2)]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    print(f"first: {names(done)}; pending: {names(pending)}")

    # What is pending runs on, and can be waited for again.
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        print(f"then: {done.pop().result()}; pending: {names(pending)}")

    tasks = [start("fine", 0.1), start("bad", 0.2, True), start("late", 0.3)]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    print(f"done: {names(done)}; pending: {names(pending)}")
    for task in done:
        if task.exception():
            print("error:", task.exception())
    for task in pending:
        task.cancel()
    done, pending = await asyncio.wait(pending)
    print("cancelled:", str(done.pop().cancelled()).lower())

    # A timeout raises nothing, and cancels nothing.
    task = start("tardy", 0.3)
    done, pending = await asyncio.wait([task], timeout=0.1)
    print(f"in time: {names(done)}; pending: {names(pending)}")
    print("at last:", await task)


asyncio.run(main())
