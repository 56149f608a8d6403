"""What `transgan train FOLDER` chooses by itself, from the images, the machine and the time there is.

`choose` decides what networks are made of, before torch is imported; `spend` decides how long a run is and how often
it is looked at, once a step was measured. Both are functions of plain numbers, and every choice says its key and why.
"""

from transgan.planning.beside import Beside
from transgan.planning.budget import Measured, spend
from transgan.planning.choice import Choice
from transgan.planning.facts import Facts
from transgan.planning.settings import choose

__all__ = ["Beside", "Choice", "Facts", "Measured", "choose", "spend"]
