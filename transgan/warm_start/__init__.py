"""Warm start: networks that begin with what another run has learned.

`settle` gives a configuration the shapes of the networks that it begins with, before anything is built, and `begin`
copies their weights. There are two kinds. From the stack of an image GPT, a masked model or a flow (stack.py), a
network of another kind takes the attention and feed-forward layers: generator=from_gpt, discriminator=from_gpt. From a
whole network (whole.py), one of the same kind takes everything: generator=from_flow, discriminator=from_flow, the
features of algorithm=drifting, the teacher of algorithm=student.
"""

from transgan.warm_start.settling import begin, begins, settle
from transgan.warm_start.source import Source, read
from transgan.warm_start.stack import copy_stack
from transgan.warm_start.weights import transplant

__all__ = ["Source", "begin", "begins", "copy_stack", "read", "settle", "transplant"]
