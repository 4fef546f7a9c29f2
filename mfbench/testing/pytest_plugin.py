"""The conformance kit as a pytest plugin, loaded by its entry point: the fixture `mfbench_check`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mfbench.testing.findings import Finding


@pytest.fixture(scope="session")
def mfbench_check() -> Callable[[str], list[Finding]]:
    """Fails the test, naming every check that does not hold; gives all findings otherwise::

    def test_conformance(mfbench_check):
        mfbench_check("my_package")         # or "path/to/my_method.py", or an entry point's name
    """

    def check(source: str) -> list[Finding]:
        from mfbench.testing.kit import check_plugin

        findings = check_plugin(source)
        failed = [str(finding) for finding in findings if not finding.ok]
        if failed:
            pytest.fail("\n".join([f"{source} does not keep mfbench's contract:", *failed]), pytrace=False)
        return findings

    return check
