"""A template process: a Python with modules imported, from which attempts are forked.

It runs in the Python of a notebook environment, standard library only, and knows nothing of the
product but this folder and the shim. `spawners.local.templates` starts it and asks it; the decision
"A fork server" in the handbook goes through what a fork carries over and what is done about it.
"""
