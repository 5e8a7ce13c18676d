# From chapter 6 of The Invisible Janitor; made by make tangle.
# In which order do the objects of rings speak?
import gc

said = []

class Node:
    def __init__(self, name):
        self.name, self.left, self.right = name, None, None
    def __del__(self):
        said.append(self.name)

# build rings, in Python
def build(kind):
    a, b, c, d = nodes = [Node(name) for name in "abcd"]
    if kind == 0:      # a ring of all, one way round
        a.left, b.left, c.left, d.left = b, c, d, a
    elif kind == 1:    # and the other way
        a.left, b.left, c.left, d.left = d, a, b, c
    elif kind == 2:    # two rings, one leads to the other
        a.left, b.left, c.left, d.left = b, a, d, c
        d.right = a
    else:              # a tree, with a way back to its root
        a.left, b.left, d.left, d.right = d, d, b, a
        a.right, b.right = c, c
    return d

# let them speak, early and late
for kind in range(4):
    for early in range(3):
        gc.collect()
        d = build(kind)
        for generation in range(early):
            gc.collect(generation)
        del d
        gc.collect()
        print('"', *said, '",')
        said.clear()
