"""Plans: a suite's cells and fits, each with its identity.

Here are the shapes, which every room above uses. `mfbench.plan.planning.make_plan` makes a plan of a suite by
way of `expansion.py` (methods x grid) and `choices.py` (names and parameters resolved, defaults filled in).
"""

from mfbench.plan.shapes import Cell, Fit, Plan

__all__ = ["Cell", "Fit", "Plan"]
