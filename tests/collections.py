# From chapter 4 of The Invisible Janitor; made by make tangle.
# How often is each generation collected?
import gc

class Node:
    __slots__ = ("left",)

def run(made, alive, ring):
    gc.collect()
    gc.freeze()
    before = [s["collections"] for s in gc.get_stats()]
    window = [None] * alive
    for i in range(made):
        n = Node()
        n.left = n if ring else None
        window[i % alive] = n
    after = [s["collections"] for s in gc.get_stats()]
    print(*(a - b for a, b in zip(after, before)), sep=", ", end=",\n")

# trade a list for rings, in Python
def trade(number):
    nodes = None
    for i in range(number):
        n = Node()
        n.left, nodes = nodes, n
    before = [s["collections"] for s in gc.get_stats()]
    for i in range(number):
        n = Node()
        n.left = n
        nodes.left, nodes = None, nodes.left
    after = [s["collections"] for s in gc.get_stats()]
    print(*(a - b for a, b in zip(after, before)), sep=", ", end=",\n")

# six runs
run(300000, 300000, False)
run(300000, 1, True)
run(300000, 5000, True)
run(300000, 50000, False)
run(100000, 1, False)
trade(20000)
