"""How far the figures of a run can be trusted: contamination of its questions, and whether its gain
survives other passages."""
