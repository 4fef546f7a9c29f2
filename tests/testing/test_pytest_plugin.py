"""The fixture `mfbench_check`, as a plugin author uses it."""

import subprocess
import sys
from pathlib import Path

PLUGINS = Path(__file__).parent.parent / "plugins"

pytest_plugins = ("pytester",)


def test_the_fixture_passes_and_fails_with_the_reasons(pytester):
    broken = (PLUGINS / "euler_sampler.py").read_text().replace("range(steps)", "range(steps // 2)")
    pytester.makepyfile(broken=broken)
    pytester.makepyfile(
        f"""
        def test_sound(mfbench_check):
            assert len(mfbench_check({str(PLUGINS / "euler_sampler.py")!r})) > 5

        def test_broken(mfbench_check):
            mfbench_check("broken.py")
        """
    )
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        ["*broken.py does not keep mfbench's contract:", "FAILED  sampler euler: convergence*"]
    )


def test_loading_the_plugin_costs_pytest_nothing():
    code = (
        "import sys, mfbench.testing.pytest_plugin; print(*{'torch', 'scipy', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
