"""Generators: next, send, throw, close, and yield from."""


def averager():
    """Is sent numbers, and gives their average so far."""
    total, count, average = 0, 0, 0.0
    while True:
        total += yield average
        count += 1
        average = total / count


def counter(name):
    """Says when it is closed, in whatever way."""
    try:
        for i in range(1, 100):
            yield i
    finally:
        print(name, "is closed")


def careful():
    """Goes on after errors that are thrown into it."""
    while True:
        try:
            word = yield "ready"
            print("careful got", word)
        except ValueError as error:
            print("careful caught:", error)


def inner():
    word = yield "inner begins"
    print("inner got", word)
    try:
        yield "inner goes on"
    except ValueError as error:
        print("inner caught:", error)
    return "a result"


def outer():
    """What is sent or thrown goes to the inner one, as long as that lasts."""
    yield "outer begins"
    result = yield from inner()
    print("inner gave", result)
    yield from [1, 2]


average = averager()
next(average)
for value in 10, 30, 5:
    print("average", average.send(value))
average.close()

closed = counter("closed")
print(next(closed), next(closed))
closed.close()
print("after its end:", next(closed, None) is None)

for i in counter("whole"):
    if i == 3:
        break

it = careful()
print(next(it))
print(it.send("one"))
print(it.throw(ValueError("odd")))
try:
    it.throw(KeyError("unknown"))
except KeyError:
    print("an error that it does not catch comes back")

it = outer()
print(next(it))
print(next(it))
print(it.send("a word"))
print(it.throw(ValueError("odd")))
print(next(it))
print("over:", next(it, None) is None)
