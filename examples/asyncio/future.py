"""A future is set by one task and awaited by others."""
import asyncio


async def set_after(future, delay, value):
    await asyncio.sleep(delay)
    print("setting the result")
    future.set_result(value)


async def watch(name, future):
    print(name, "waits")
    print(name, "sees", await future)


async def main():
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    future.add_done_callback(lambda f: print("callback sees", f.result()))
    watchers = [asyncio.create_task(watch(name, future)) for name in ("ann", "bob")]
    setter = asyncio.create_task(set_after(future, 0.03, "the answer"))
    await asyncio.gather(*watchers)
    await setter
    print("main sees", await future)

    try:
        future.set_result("another answer")
    except asyncio.InvalidStateError:
        print("a result is set once")

    failing = loop.create_future()
    loop.call_later(0.02, failing.set_exception, RuntimeError("no answer"))
    try:
        await failing
    except RuntimeError as error:
        print("error:", error)


asyncio.run(main())
