"""The two ways a person's or a method's mistake is told: in one line, without a traceback."""

from __future__ import annotations


class UserError(Exception):
    """Bad input: the message is the one line that the command line prints before it exits with code 2.

    Say the file, the key, what is wrong and what would be right, in that order.
    """


class Unsupported(Exception):  # noqa: N818 - a status, not an error
    """A combination that cannot work (a density where none is known): the cell's status is `unsupported`."""


class ContractError(Exception):
    """A method returned what its contract forbids (a wrong shape, NaN): the cell's status is `failed`."""
