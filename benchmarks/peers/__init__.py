"""How else one would build this: each file is a whole application, written as its framework's documentation shows.

They run in an environment of their own (requirements/bench.txt), all with the same network and the same images.
"""
