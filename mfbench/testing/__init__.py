"""The conformance kit: whether what a plugin registers keeps its contract.

From Python, in a test of your own, or by `mfbench plugin check`::

    from mfbench.testing import check_plugin

    for finding in check_plugin("my_package"):      # or "my_method.py", or an entry point's name
        print(finding)

and with pytest, whose plugin comes with mfbench::

    def test_conformance(mfbench_check):
        mfbench_check("my_package")

Every registered name is made with its default parameters (training budgets called `iterations`, `epochs` or
`steps` are cut), fitted on small data sets, and asked for what its kind promises. The checks of a kind are
the methods of its class here: `SamplerChecks`, `LikelihoodChecks`, ...
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mfbench.testing.findings import Finding
    from mfbench.testing.kit import check_plugin, check_registered

__all__ = ["Finding", "check_plugin", "check_registered"]


def __getattr__(name: str) -> Any:
    """Lazy, because pytest imports this package at every start and the kit needs torch."""
    if name == "Finding":
        from mfbench.testing.findings import Finding

        return Finding
    if name in __all__:
        from mfbench.testing import kit

        return getattr(kit, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
