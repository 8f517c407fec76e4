"""ExceptionGroup and except*, also where groups are in groups."""
import asyncio


async def fail(error, message, delay=0):
    await asyncio.sleep(delay)
    raise error(message)


def leaves(group):
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from leaves(error)
        else:
            yield error


def messages(group):
    return " ".join(sorted(str(error) for error in leaves(group)))


async def two_fail():
    async with asyncio.TaskGroup() as group:
        group.create_task(fail(ValueError, "one"))
        group.create_task(fail(TypeError, "two"))


async def nested():
    async with asyncio.TaskGroup() as group:
        group.create_task(fail(ValueError, "deep", 0.01))
        group.create_task(fail(TypeError, "deeper", 0.01))


async def main():
    # Each handler gets its part.
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail(ValueError, "one"))
            group.create_task(fail(TypeError, "two"))
            group.create_task(fail(ValueError, "three"))
    except* ValueError as part:
        print("values:", messages(part))
    except* TypeError as part:
        print("types:", messages(part))

    # What nobody handles goes on.
    try:
        try:
            await two_fail()
        except* ValueError as part:
            print("handled:", messages(part))
    except ExceptionGroup as error:
        print("left:", messages(error))

    # A lone error is a group of one.
    try:
        await fail(ValueError, "lone")
    except* ValueError as part:
        print(f"{len(part.exceptions)}: {messages(part)}")

    # Parts by a predicate, of groups in groups.
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(nested())
    except ExceptionGroup as error:
        matching, rest = error.split(lambda leaf: str(leaf) == "deep")
        print(f"matching: {messages(matching)}, in groups: {len(matching.exceptions)}")
        print("rest:", messages(rest))
        print("none:", str(error.subgroup(KeyError) is None).lower())


asyncio.run(main())
