"""A done callback ends the loop."""
import asyncio


async def work(name, delay, fails=False):
    await asyncio.sleep(delay)
    if fails:
        raise ValueError(name + " failed")
    return name + "'s result"


left = 3


def ended(task):
    global left
    if task.cancelled():
        print(task.get_name(), "was cancelled")
    elif task.exception():
        print(task.get_name(), "failed:", task.exception())
    else:
        print(task.get_name(), "gave", task.result())
    left -= 1
    if left == 0:
        print("stopping")
        loop.stop()


def start(name, *args):
    task = loop.create_task(work(name, *args), name=name)
    task.add_done_callback(ended)
    return task


def never(_):
    print("removed, so never called")


loop = asyncio.new_event_loop()
quick = start("quick", 0.02)
quick.add_done_callback(never)
quick.remove_done_callback(never)
start("bad", 0.04, True)
slow = start("slow", 60)
loop.call_later(0.06, slow.cancel)
loop.call_soon(print, "running")
loop.run_forever()
print("stopped")
loop.close()
