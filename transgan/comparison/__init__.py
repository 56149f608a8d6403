"""Several runs beside each other: what they cost, how good they are, what follows from it."""
