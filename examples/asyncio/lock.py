"""A lock guards what happens across an await. Waiters get it in the order they came."""
import asyncio

balance = 0


async def deposit_unsafely(amount):
    global balance
    seen = balance
    await asyncio.sleep(0)
    balance = seen + amount


async def deposit(name, lock, amount):
    global balance
    print(name, "wants the lock")
    async with lock:
        print(name, "has the lock")
        seen = balance
        await asyncio.sleep(0.01)
        balance = seen + amount
    print(name, "released it")


async def main():
    global balance
    await asyncio.gather(*(deposit_unsafely(10) for _ in range(3)))
    print("without a lock:", balance)

    balance = 0
    lock = asyncio.Lock()
    await asyncio.gather(*(deposit(name, lock, 10) for name in ("ann", "bob", "cid")))
    print("with a lock:", balance)
    print("locked:", "yes" if lock.locked() else "no")


asyncio.run(main())
