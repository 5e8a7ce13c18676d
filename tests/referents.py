# From chapter 1 of The Invisible Janitor; made by make tangle.
# What does the collector find in each of twenty nodes?
import gc

class Node:
    __slots__ = ("left", "number", "right")

nodes = [Node() for _ in range(20)]
for i, n in enumerate(nodes):
    n.number = i
    n.left = nodes[i * 7 % 20] if i % 3 else None
    n.right = nodes[i * i % 20] if i % 4 else None
found = []
for n in nodes:
    found += sorted((n.number, to.number) for to in gc.get_referents(n)
                    if isinstance(to, Node))
for i in range(0, len(found), 8):
    print(*[f"{n}, {to}," for n, to in found[i:i + 8]])
