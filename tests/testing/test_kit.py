"""Sound plugins pass every check; each deliberately broken one fails the check meant for it, saying why."""

import re

import pytest
from mutants import MUTANTS, source_of

from mfbench.errors import UserError
from mfbench.testing import Finding, check_plugin

KINDS_OF = {
    "diagonal_gaussian": {"likelihood", "generator"},
    "subspace_dimension": {"likelihood"},
    "euler_sampler": {"sampler"},
    "ancestral_sampler": {"sampler"},
    "pca_disentangler": {"disentangler"},
    "logistic_defense": {"defense", "attack"},
    "ring_protocol": {"dataset", "protocol"},
}


BROKEN = {mutant.name for mutant in MUTANTS}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Findings on a file with all its mutants, made when first asked for."""
    folder, known = tmp_path_factory.mktemp("mutants"), {}

    def find(file):
        if file not in known:
            path = folder / f"{file}.py"
            path.write_text(source_of(file))
            known[file] = check_plugin(str(path))
        return known[file]

    return find


@pytest.mark.parametrize("file", KINDS_OF)
def test_small_real_methods_pass(file, found):
    findings = [finding for finding in found(file) if finding.name not in BROKEN]
    assert [str(finding) for finding in findings if not finding.ok] == []
    assert {finding.kind for finding in findings} == {"plugin"} | KINDS_OF[file]
    assert sum(not finding.skipped for finding in findings) > 4 * len(KINDS_OF[file])


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.kind}-{mutant.name}")
def test_broken_plugins_are_rejected_saying_why(mutant, found):
    mine = [f for f in found(mutant.file) if (f.kind, f.name) == (mutant.kind, mutant.name)]
    failed = {finding.check: finding.message for finding in mine if not finding.ok}
    assert mutant.check in failed, [str(finding) for finding in mine]
    assert re.search(mutant.why, failed[mutant.check]), failed


FOR_IMAGES = """
import mfbench
import torch


class Sharpness(mfbench.Likelihood):
    \"\"\"Minus the largest step between columns.\"\"\"

    bound = "score"

    def build(self, spec):
        self.columns = spec.shape[2]

    def score(self, x, *, rng):
        return -x.diff(dim=3).abs().amax(dim=(1, 2, 3))


@mfbench.hookimpl
def mfbench_register(registry):
    registry.likelihood("sharpness", Sharpness, summary="steps")
"""


def test_a_method_for_images_that_does_not_say_so_is_told_how(tmp_path):
    path = tmp_path / "sharpness.py"
    path.write_text(FOR_IMAGES)
    (failed,) = [finding for finding in check_plugin(str(path)) if not finding.ok]
    assert failed.check == "fits"
    assert failed.message.startswith("IndexError: tuple index out of range")
    assert (
        "(2,); a method that is not meant for such shapes raises mfbench.Unsupported in `build`"
        in failed.message
    )
    says_so = "        if len(spec.shape) != 3:\n            raise mfbench.Unsupported('images alone')\n"
    path = tmp_path / "sharpness_of_images.py"  # a file is imported once in a process
    path.write_text(FOR_IMAGES.replace("(self, spec):\n", "(self, spec):\n" + says_so))
    fits = next(finding for finding in check_plugin(str(path)) if finding.check == "fits")
    assert fits.ok
    assert fits.message == "on tiny_images (1, 16, 16)"


def test_a_plugin_that_cannot_be_imported_is_one_finding(tmp_path):
    path = tmp_path / "broken.py"
    path.write_text("import mfbench\nimport no_such_library\n")
    (finding,) = check_plugin(str(path))
    assert not finding.ok
    assert (finding.kind, finding.check) == ("plugin", "loads")
    assert "no_such_library" in finding.message


def test_a_missing_file_is_a_users_mistake():
    with pytest.raises(UserError, match="there is no file"):
        check_plugin("./no_such_plugin.py")


PRETRAINED = """
import mfbench

class Pretrained(mfbench.GenerativeModel):
    def __init__(self, *, weights: mfbench.FileRef {default}):
        self.weights = weights

    def build(self, spec):
        if self.weights is None:
            raise mfbench.UserError("pretrained: weights = nothing: name a file")

@mfbench.hookimpl
def mfbench_register(registry):
    registry.generator("pretrained", Pretrained, summary="reads its weights")
"""


@pytest.mark.parametrize(("default", "why"), [("| None = None", "name a file"), ("", "needs a value")])
def test_what_needs_a_file_that_nobody_named_is_skipped_saying_so(default, why, tmp_path):
    path = tmp_path / "pretrained.py"
    path.write_text(PRETRAINED.format(default=default))
    *_, last = check_plugin(str(path))
    assert (last.ok, last.skipped) == (True, True)
    assert re.search(f"weights would have to be given: .*{why}", last.message)


def test_findings_read_as_one_line():
    assert str(Finding("sampler", "rk4", "order", False, "it is 1")) == "FAILED  sampler rk4: order: it is 1"
    assert str(Finding("sampler", "rk4", "device", True, "no GPU", skipped=True)).startswith(
        "skipped sampler"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "plugin", ["mfbench", "mfbench_baselines", "mfbench_diffusion", "mfbench_dimension", "mfbench_ood"]
)
def test_first_party_plugins_pass(plugin):
    findings = check_plugin(plugin)
    assert [str(finding) for finding in findings if not finding.ok] == []
