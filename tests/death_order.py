# From chapter 2 of The Invisible Janitor; made by make tangle.
# In which order does CPython bury a comb?
order = []

class Bell(int):
    __slots__ = ()
    def __del__(self):
        order.append(int(self))

class Node:
    __slots__ = ("a_left", "b_right", "c_bell")

# make a comb and let it go
def node(number, left, right):
    n = Node()
    n.a_left, n.b_right, n.c_bell = left, right, Bell(number)
    return n

comb = None
for i in reversed(range(0, 208, 2)):
    comb = node(i, node(i + 1, None, None), comb)
del comb
for i in range(0, len(order), 14):
    print(*order[i:i + 14], sep=", ", end=",\n")
