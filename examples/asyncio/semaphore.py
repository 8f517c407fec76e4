"""A semaphore lets so many in at once."""
import asyncio

inside = 0


async def visit(i, seats):
    global inside
    async with seats:
        inside += 1
        print("visitor", i, "in,", inside, "inside")
        await asyncio.sleep(0.03)
        inside -= 1
    print("visitor", i, "out")


async def main():
    seats = asyncio.Semaphore(2)
    await asyncio.gather(*(visit(i, seats) for i in range(1, 6)))
    print("free:", "no" if seats.locked() else "yes")

    bounded = asyncio.BoundedSemaphore(1)
    try:
        bounded.release()
    except ValueError:
        print("released too often")


asyncio.run(main())
