# From chapter 7 of The Invisible Janitor; made by make tangle.
# Callbacks and finalizers: who is heard in which order?
import gc, weakref

heard = []

class Thing:
    def __init__(self, name):
        self.name, self.left = name, None
    def __del__(self):
        heard.append(self.name)

def watch(thing, name):
    return weakref.ref(thing, lambda ref: heard.append("+" + name))

# four farewells, in Python
for ring in (False, True):
    for early in (False, True):
        a, b = Thing("a"), Thing("b")
        a.left = b
        refs = [watch(a, "a1"), watch(b, "b1")]
        if ring:
            b.left = a
        if early:
            gc.collect(0)
        refs += [watch(a, "a2"), watch(b, "b2")]
        b = None
        a = None
        gc.collect()
        print('"', *heard, '",')
        heard.clear()
