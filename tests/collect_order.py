# From chapter 3 of The Invisible Janitor; made by make tangle.
# In which order do objects die, by counting and by collection?
import gc
import weakref

gc.disable()
gc.freeze()
order, bells = [], []

class Node:
    __slots__ = ("a_left", "b_right", "c_bell")

def node():
    n = Node()
    n.a_left = n.b_right = None
    number, n.c_bell = len(bells), compile("0", "", "eval")
    bells.append(weakref.ref(n.c_bell, lambda _: order.append(number)))
    return n

# play with sixteen variables at random
nodes = [node() for i in range(16)]
random = 2463534242
for step in range(1, 321):
    random ^= random << 13 & 0xffffffff
    random ^= random >> 17
    random ^= random << 5 & 0xffffffff
    i, j, what = random % 16, random // 16 % 16, random // 256 % 3
    if what == 0:
        nodes[i].a_left = nodes[j]
    elif what == 1:
        nodes[i].b_right = nodes[j]
    else:
        nodes[i] = node()
    if step % 40 == 0:
        gc.collect()
        order.append(-1)
for i in range(0, len(order), 14):
    print(*order[i:i + 14], sep=", ", end=",\n")
