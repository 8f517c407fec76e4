"""Cancelling a task raises inside it, so that it can clean up."""
import asyncio


async def worker():
    print("worker started")
    try:
        await asyncio.sleep(10)
        print("never printed")
    except asyncio.CancelledError as error:
        print("worker cancelled:", error)
        await asyncio.sleep(0.02)
        print("worker cleaned up")
        raise


async def stubborn():
    try:
        await asyncio.sleep(10)
    except asyncio.CancelledError:
        asyncio.current_task().uncancel()
        await asyncio.sleep(0.02)
        return "finished all the same"


async def never_started():
    print("never printed")


async def main():
    task = asyncio.create_task(worker())
    await asyncio.sleep(0.02)
    print("cancelling:", "yes" if task.cancel("going home") else "no")
    try:
        await task
    except asyncio.CancelledError:
        print("main saw the cancellation")
    print("cancelled:", "yes" if task.cancelled() else "no")

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0.02)
    task.cancel()
    print("stubborn:", await task)
    print("cancelled:", "yes" if task.cancelled() else "no")

    task = asyncio.create_task(never_started())
    task.cancel()
    await asyncio.wait([task])
    print("cancelled before its first step:", "yes" if task.cancelled() else "no")


asyncio.run(main())
