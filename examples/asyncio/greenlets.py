"""Greenlets: functions that switch to each other in the middle, and where their ends go."""
from greenlet import getcurrent, greenlet


# Two that take turns. The first to end goes back to who made it; the other stays where it is.

def knit():
    print("knit")
    print("and again, with", purl_.switch("wool"))
    return "a scarf"


def purl(thread):
    print("purl, with", thread)
    knit_.switch("needles")
    print("never")


def name(g):
    return "dead" if g.dead else "alive"


knit_, purl_ = greenlet(knit), greenlet(purl)
print("made:", knit_.switch())
print("knit is", name(knit_), "and purl", name(purl_))


# A function that calls back, deep inside, becomes one that is asked.

def walk(tree, visit):
    left, value, right = tree
    if left:
        walk(left, visit)
    visit(value)
    if right:
        walk(right, visit)


def values_of(tree):
    asker = getcurrent()
    walker = greenlet(lambda: walk(tree, asker.switch))
    value = walker.switch()
    while not walker.dead:
        yield value
        value = walker.switch()


leaf = lambda value: (None, value, None)
print(*values_of((leaf(1), 2, (leaf(3), 4, leaf(5)))))


# Errors go to the parent; and from outside into one that is suspended.

def fails():
    raise ValueError("as planned")


try:
    greenlet(fails).switch()
except ValueError as error:
    print("the parent gets:", error)


def listens():
    while True:
        try:
            getcurrent().parent.switch("listening")
        except ValueError as error:
            print("thrown into it:", error)


listener = greenlet(listens)
print(listener.switch())
print(listener.throw(ValueError("a stone")))


# A parent may be changed, and one that is dead is passed over.

def relay(*words):
    return " ".join(words)


first, second = greenlet(relay), greenlet(relay)
first.parent = second
print(first.switch("by", "the", "second"))
print(first.switch("through the dead"))


# What is open is closed.

def holds():
    try:
        getcurrent().parent.switch()
    finally:
        print("let go")


holder = greenlet(holds)
holder.switch()
holder.throw()
print("holder is", name(holder))
