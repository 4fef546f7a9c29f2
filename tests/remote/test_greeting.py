"""What a worker must have in common with the coordinator: what it is asked, and what a difference says."""

import asyncio
import json

import pytest
from fleet import PLUGIN, plan_of, suite_of

from mfbench.registry import sources
from mfbench.remote import greeting, parcels

SHA = "0123456789abcdef" * 4


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    plan = plan_of(suite_of(["good"]), tmp_path_factory.mktemp("plan"))
    sha256 = parcels.content_hash(PLUGIN)
    question = greeting.make_question(plan, {str(PLUGIN): sha256}, cuda=False)
    return question, greeting.introduce(question)


def test_a_worker_that_shares_everything_can_do_the_work(here):
    question, answer = here
    assert question["cards"] == [["dataset", "line"], ["likelihood", "good"], ["protocol", "mean_score"]]
    assert answer["problem"] == ""
    assert greeting.disagreement(answer, json.loads(json.dumps(answer))) == ""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"versions": {"torch": "1.0"}}, "it has torch 1.0 and the coordinator 2"),
        (
            {"versions": {"numpy": ""}},
            r"it has numpy \(none\) and the coordinator .*: install the same there",
        ),
        ({"versions": {"mfbench": "0.1.0 (000000000000)"}}, r"it has mfbench 0.1.0 \(000000000000\) and"),
        ({"sources": {"likelihood/good": SHA}}, "the code of likelihood/good is not the coordinator's"),
        ({"problem": "there is no likelihood 'good'"}, "there is no likelihood 'good'"),
    ],
)
def test_a_worker_that_differs_is_told_in_one_line(here, change, words):
    answer = json.loads(json.dumps(here[1]))
    for name, value in change.items():
        answer[name] = {**answer[name], **value} if isinstance(value, dict) else value
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(greeting.disagreement(here[1], answer))


def test_a_worker_that_keeps_nothing_is_told(here):
    answer = {"missing": [{"kind": "file", "key": SHA, "root": "plugin.py"}]}
    told = greeting.disagreement(here[1], answer)
    assert told == "it does not keep what it is sent (plugin.py); see MFBENCH_CACHE there"


def test_other_files_of_a_data_set_are_told(here):
    answer = {**here[1], "data": {"folder": "one"}}
    assert "the files of data set 'folder' are not" in greeting.disagreement(
        answer, {**answer, "data": {"folder": "another"}}
    )


def test_an_optional_package_may_be_absent_but_not_another_one(here):
    one, other, none = ({**here[1], "versions": {"zuko": version}} for version in ("1.6.0", "1.5.0", ""))
    assert greeting.disagreement(one, none) == ""
    assert greeting.disagreement(one, other).startswith("it has zuko 1.5.0 and the coordinator 1.6.0")


def test_a_plugin_file_that_is_not_there_is_asked_for(here):
    question = {**here[0], "plugins": {"/nowhere/plugin.py": SHA}}
    assert greeting.introduce(question) == {"missing": [{"kind": "file", "key": SHA, "root": "plugin.py"}]}


IMPORTS_A_SIBLING = """
import mfbench
import sibling_of_a_plugin

class Sibling(mfbench.Likelihood):
    "Imports a file beside it."

@mfbench.hookimpl
def mfbench_register(registry):
    registry.likelihood("sibling", Sibling, summary="imports a file beside it")
"""


def test_a_plugin_file_whose_imports_are_missing_is_told_though_the_cache_knows_it(tmp_path, own_cache):
    """The coordinator's folder is on its path; a worker's that shares the disk and the cache is not."""
    plugin = tmp_path / "plugin.py"
    plugin.write_text(IMPORTS_A_SIBLING)
    (tmp_path / "sibling_of_a_plugin.py").touch()
    question = {
        "plugins": {str(plugin): parcels.content_hash(plugin)},
        "cards": [["likelihood", "sibling"]],
        **{"data": [], "cuda": False, "anew": False},
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(tmp_path))
        sources.forget()
        here = greeting.introduce(question)
    sources.forget()
    assert greeting.introduce(question)["sources"] == here["sources"]  # it is not seen by its code
    there = greeting.introduce({**question, "anew": True})
    assert greeting.disagreement(here, there) == (
        f"plugin {plugin}: ModuleNotFoundError: No module named 'sibling_of_a_plugin' (plugin.py, line 3); "
        "a plugin file travels alone, what it imports must be installed there"
    )


def test_a_plugin_file_that_left_its_sibling_behind_is_told(tmp_path, own_cache):
    """It finds the file beside it by itself, where there is one."""
    plugin = tmp_path / "plugin.py"
    where = "import sys\nfrom pathlib import Path\nsys.path.insert(0, str(Path(__file__).parent))\n"
    plugin.write_text(where + IMPORTS_A_SIBLING)
    (tmp_path / "sibling_of_a_plugin.py").touch()
    sha256 = parcels.content_hash(plugin)
    question = {"plugins": {str(plugin): sha256}, "cards": [["likelihood", "sibling"]]}
    question |= {"data": [], "cuda": False, "anew": True}
    assert greeting.introduce(question)["problem"] == ""
    (own_cache / "parcels" / sha256).mkdir(parents=True)
    plugin.rename(own_cache / "parcels" / sha256 / plugin.name)
    assert "No module named 'sibling_of_a_plugin'" in greeting.introduce(question)["problem"]


class WorkerHere:
    """A Dask client whose one worker is this process, with a cache of its own."""

    async def run(self, errand, *arguments, workers):
        if errand.__name__ == "introduce":
            return {workers[0]: greeting.introduce(*arguments)}
        return {workers[0]: await errand(*arguments)}


def test_a_plugin_file_that_was_renamed_is_sent_again_under_its_new_name(here, own_cache):
    pytest.importorskip("distributed", reason="Dask is not installed: pip install 'mfbench[dask]'")
    from mfbench.remote.post import Post
    from mfbench.remote.reception import Reception

    (sha256,) = here[0]["plugins"].values()
    one = object.__new__(Reception)
    one._client, one._files = WorkerHere(), {sha256: str(PLUGIN)}
    one._post = Post(one._client)
    for name in ("nearest.py", "renamed.py"):
        one._question = {**here[0], "plugins": {f"/nowhere/{name}": sha256}}
        answer = asyncio.run(one._introduced("tcp://a:1"))
        assert answer["problem"] == ""
        assert (own_cache / "parcels" / sha256 / name).read_bytes() == PLUGIN.read_bytes()


class FailingClient:
    """A Dask client whose workers raise when they are asked."""

    def __init__(self, error):
        self.error = error

    async def run(self, *errand, workers):
        raise self.error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ModuleNotFoundError("No module named 'mfbench.remote'"), "it has no mfbench; "),
        (Exception("ModuleNotFoundError(\"No module named 'mfbench'\")"), "it has no mfbench; "),
        (KeyError("anew"), "it cannot say what it has (KeyError: 'anew'); "),
        (OSError("it is gone"), None),
    ],
)
def test_a_worker_that_has_no_answer_is_refused_unless_it_went(error, words):
    pytest.importorskip("distributed", reason="Dask is not installed: pip install 'mfbench[dask]'")
    from mfbench.remote.reception import Reception

    one = object.__new__(Reception)
    one._client, one._question, one._here = FailingClient(error), {}, {}
    one._greeted, one._refused = {"tcp://a:1"}, []
    asyncio.run(one._greet("tcp://a:1", ["cpu"]))
    told = f"--executor dask: worker tcp://a:1: {words}install the coordinator's mfbench[dask] there"
    assert one._refused == ([told] if words else [])
    assert ("tcp://a:1" in one._greeted) is bool(words)  # who went is greeted when it comes again
