"""The package is cheap to import, whole, and honest about names it does not have."""

import subprocess
import sys

import pytest

import mfbench.measures as measures


def loaded_after(code, *libraries):
    """Which of the libraries a fresh interpreter has loaded after running `code`."""
    code += f"; import sys; print(*[name for name in {libraries} if name in sys.modules])"
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()


def test_importing_the_package_imports_no_library():
    assert loaded_after("import mfbench.measures", "torch", "numpy", "scipy", "sklearn") == []


def test_arrays_are_measured_without_torch():
    code = "from mfbench.measures import delong; delong([1.0, 2, 3], [0.0, 2, 1])"
    assert loaded_after(code, "torch", "numpy") == ["numpy"]


def test_every_name_is_there_and_documented():
    for name in measures.__all__:
        assert getattr(measures, name).__doc__, name
        assert name in dir(measures)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'aurok'"):
        _ = measures.aurok
