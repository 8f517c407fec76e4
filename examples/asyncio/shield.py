"""shield: who waits may be cancelled, what is waited for is not."""
import asyncio


async def save():
    await asyncio.sleep(0.2)
    print("saved")
    return 42


async def wait_shielded(saving):
    try:
        await asyncio.shield(saving)
        print("waiter: got it")
    except asyncio.CancelledError:
        print("waiter: cancelled")
        raise


async def wait_unshielded(saving):
    await saving


def lower(value):
    return str(value).lower()


async def main():
    # A task that others go on with.
    saving = asyncio.create_task(save())
    waiter = asyncio.create_task(wait_shielded(saving))
    await asyncio.sleep(0.1)
    waiter.cancel()
    await asyncio.wait([waiter])
    print(f"waiter cancelled: {lower(waiter.cancelled())}, saving cancelled: {lower(saving.cancelled())}")
    print("result:", await saving)

    # Without it the cancellation goes on to what is awaited.
    saving = asyncio.create_task(save())
    waiter = asyncio.create_task(wait_unshielded(saving))
    await asyncio.sleep(0.1)
    waiter.cancel()
    await asyncio.wait([waiter])
    print("unshielded, saving cancelled:", lower(saving.cancelled()))

    # A timeout around a shield ends the wait only.
    saving = asyncio.create_task(save())
    timed_out = False
    try:
        async with asyncio.timeout(0.1):
            await asyncio.shield(saving)
    except TimeoutError:
        timed_out = True
    print(f"timed out: {lower(timed_out)}, done: {lower(saving.done())}")
    print("result:", await saving)


asyncio.run(main())
