"""The parts of the executor that need no Dask: settings, parcels, the worker's side."""

import json
import time
from types import SimpleNamespace

import pytest
from fleet import plan_of, suite_of

from mfbench import artifacts
from mfbench.engine.children import Children
from mfbench.errors import UserError
from mfbench.remote import parcels, tasks
from mfbench.remote.parcels import DamagedParcelError, file_parcel, files_in, fit_parcel
from mfbench.remote.settings import read_settings
from mfbench.wording import Where

SHA = "0123456789abcdef" * 4

# -- settings -----------------------------------------------------------------------------------------------


def settings_of(**raw):
    return read_settings(
        SimpleNamespace(suite="s.toml", executors={"dask": (Where("s.toml", "executor.dask"), raw)})
    )


def test_settings_have_defaults():
    assert read_settings(SimpleNamespace(suite="tiny", executors={})).cluster == "local"
    found = settings_of(address="tcp://head:8786", retries=0, wait=5)
    assert (found.address, found.retries, found.wait) == ("tcp://head:8786", 0, 5.0)
    assert settings_of().wait < settings_of(cluster="SLURMCluster").wait  # jobs wait in a queue


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({"adress": "tcp://a:1"}, r"executor.dask.adress: unknown key.*did you mean 'address'"),
        ({"address": 8786}, "executor.dask.address: expected a text"),
        ({"address": "a", "cluster": "local"}, "executor.dask: 'address' and 'cluster' exclude each other"),
        ({"options": {"cores": 2}}, "executor.dask.options: they are for a class of dask-jobqueue"),
        ({"retries": -1}, "executor.dask.retries: expected a whole number from 0 to 100"),
        ({"wait": 0}, "executor.dask.wait: expected seconds above 0"),
    ],
)
def test_wrong_settings_are_bad_input(raw, words):
    with pytest.raises(UserError, match=f"s.toml: {words}"):
        settings_of(**raw)


def test_settings_from_the_command_line_are_no_part_of_the_suite(tmp_path):
    from mfbench.suite import parse_suite

    text = suite_of(["good"])
    said = ['executor.dask.address="tcp://head:8786"', "executor.dask.retries=5", "suite.threads=2"]
    suite = parse_suite(text, tmp_path, Where("s.toml"), said)
    where, raw = suite.executors["dask"]
    assert (where.path, raw) == ("executor.dask", {"address": "tcp://head:8786", "retries": 5})
    assert suite.text == f"{text}\n# --set suite.threads=2\n"
    with pytest.raises(UserError, match=r"s\.toml: executor\.dask: expected a table"):
        parse_suite(text.replace("[executor.dask]", "[executor]\ndask = 1"), tmp_path, Where("s.toml"))


# -- parcels ------------------------------------------------------------------------------------------------


def send(parcel, place, ticket="t"):
    for name in parcels.names_in(place):
        offset, last = 0, False
        while not last:
            data, last = parcels.read_chunk(str(place), name, offset)
            parcels.write_chunk(parcel, ticket, name, offset, data)
            offset += len(data)
    parcels.put_in_place(parcel, ticket)


@pytest.mark.parametrize("size", [0, 3, 4, 5, 8])
def test_a_file_arrives_whole_in_parts_of_four_bytes(tmp_path, own_cache, monkeypatch, size):
    monkeypatch.setattr(parcels, "CHUNK", 4)
    file = tmp_path / "weights.bin"
    file.write_bytes(bytes(range(size)))
    parcel = file_parcel(str(file), parcels.content_hash(file))
    assert parcels.find_file("/nowhere/weights.bin", parcel["key"]) is None
    for ticket in ("a", "b"):  # twice: two runs may send it
        send(parcel, file, ticket)
    found = parcels.find_file("/nowhere/weights.bin", parcel["key"])
    assert found == str(own_cache / "parcels" / parcel["key"] / "weights.bin")
    assert parcels.content_hash(parcels.place_of(parcel)) == parcel["key"]
    assert [path.name for path in (own_cache / "parcels").iterdir()] == [parcel["key"]]


def test_a_folder_arrives_with_its_folders(tmp_path, own_cache):
    folder = tmp_path / "weights"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "1").write_text("one")
    (folder / "2").write_text("two")
    parcel = file_parcel(str(folder), parcels.content_hash(folder))
    send(parcel, folder)
    assert (parcels.place_of(parcel) / "a" / "1").read_text() == "one"


def test_a_file_that_is_there_with_that_content_is_not_sent(tmp_path, own_cache):
    file = tmp_path / "weights.bin"
    file.write_text("old")
    sha256 = parcels.content_hash(file)
    assert parcels.find_file(str(file), sha256) == str(file)
    file.write_text("newer")
    assert parcels.find_file(str(file), sha256) is None


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_the_same_bytes_under_another_name_lie_beside_the_first(tmp_path, own_cache, kind):
    one, other = tmp_path / "nearest.py", tmp_path / "renamed.py"
    for place in (one, other):
        if kind == "folder":
            place.mkdir()
        (place / "weights" if kind == "folder" else place).write_text("the same")
    sha256 = parcels.content_hash(one)
    for place in (one, other):
        there = f"/nowhere/{place.name}"
        assert parcels.find_file(there, sha256) is None
        send(file_parcel(there, sha256), place)
        assert parcels.find_file(there, sha256) == str(own_cache / "parcels" / sha256 / place.name)
    assert sorted(path.name for path in (own_cache / "parcels" / sha256).iterdir()) == [one.name, other.name]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_parcel_that_was_damaged_where_it_lies_is_sent_again(tmp_path, own_cache, kind):
    here = tmp_path / "weights"
    file = here / "a" / "1" if kind == "folder" else here
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("right")
    parcel = file_parcel("/nowhere/weights", parcels.content_hash(here))
    send(parcel, here)
    place = parcels.place_of(parcel)
    damaged = place / "a" / "1" if kind == "folder" else place
    damaged.write_text("wrong")
    assert parcels.find_file("/nowhere/weights", parcel["key"]) is None
    send(parcel, here)
    assert damaged.read_text() == "right"
    assert parcels.is_here(parcel)
    assert [path.name for path in (own_cache / "parcels").iterdir()] == [parcel["key"]]
    assert list(place.parent.iterdir()) == [place]


def test_a_damaged_parcel_is_not_put_in_place(tmp_path, own_cache):
    file = tmp_path / "weights.bin"
    file.write_text("right")
    parcel = {**file_parcel(str(file), parcels.content_hash(file)), "key": SHA}
    with pytest.raises(DamagedParcelError, match=r"weights\.bin: its SHA-256 is not"):
        send(parcel, file)
    assert not parcels.is_here(parcel)
    assert list((own_cache / "parcels").iterdir()) == []
    with pytest.raises(DamagedParcelError, match="leaves the parcel's folder"):
        parcels.write_chunk(parcel, "t", "../../../escape", 0, b"x")


def test_a_fit_arrives_as_it_was_saved_and_a_damaged_one_does_not(tmp_path, own_cache):
    import torch

    here = tmp_path / "here"
    artifacts.save(here, SHA, {"mean": torch.ones(3), "n": 3}, {"wall_s": 1.0})
    send(fit_parcel(SHA), artifacts.artifact_folder(here, SHA))
    state, header = artifacts.load(own_cache, SHA)
    assert (state["mean"].tolist(), state["n"], header["wall_s"]) == ([1.0, 1.0, 1.0], 3, 1.0)
    assert sorted(parcels.made_here(SHA)) == [artifacts.HEADER, artifacts.TENSORS]
    other = SHA[::-1]
    damaged = artifacts.artifact_folder(here, SHA) / artifacts.TENSORS
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    with pytest.raises(artifacts.CorruptArtifactError):
        send(fit_parcel(other), artifacts.artifact_folder(here, SHA))
    assert parcels.made_here(other) == []


def test_the_files_in_a_job():
    file = {"file": "/a/b.bin", "sha256": SHA}
    assert files_in({"method": {"parameters": {"weights": [file], "n": 3}}, "seed": 0}) == {SHA: "/a/b.bin"}


# -- the worker's side --------------------------------------------------------------------------------------


def test_what_a_task_lacks_is_asked_for_before_it_is_begun(tmp_path, own_cache):
    text = suite_of(["fitted"])
    plan = plan_of(text, tmp_path)
    job = {**plan.cells[0].to_json(), "extra": {"file": "/nowhere/w.bin", "sha256": SHA}}
    task = {"type": "cell", "job": job, "plugins": ["/nowhere/p.py"], "domain": ["/nowhere/p.py"]}
    answer = tasks.perform_all(
        [json.dumps(task)], {"/nowhere/p.py": SHA, "a.module": ""}, "cpu", "n", lambda *_: None
    )
    assert answer == {
        "records": [],
        "missing": [
            {"kind": "file", "key": SHA, "root": "p.py"},
            {"kind": "file", "key": SHA, "root": "w.bin"},
            {"kind": "fit", "key": plan.fits[0].key, "root": ""},
        ],
    }


@pytest.mark.parametrize(("seconds", "done"), [(0.0, 3), (0.15, 2), (0.3, 1)])
def test_tasks_that_take_their_time_leave_the_others_to_other_workers(
    tmp_path, own_cache, monkeypatch, seconds, done
):
    """What is not done comes back unsaid: the records are those of the first ones."""

    def run(text, children):
        time.sleep(seconds)
        return json.dumps(json.loads(text)["job"]["cell_id"])

    monkeypatch.setattr(tasks, "run_cell", run)
    cells = plan_of(suite_of(["good"], seeds=(0, 1, 2)), tmp_path).cells
    texts = [
        json.dumps({"type": "cell", "job": cell.to_json(), "plugins": [], "domain": []}) for cell in cells
    ]
    answer = tasks.perform_all(texts, {}, "cpu", "n", lambda *_: None)
    assert answer["missing"] == []
    assert [json.loads(record) for record, _ in answer["records"]] == [cell.cell_id for cell in cells[:done]]
    assert all(took >= seconds for _, took in answer["records"])


class Child(Children):
    """Notes that it was stopped."""

    stopped = False

    def stop(self):
        self.stopped = True


@pytest.fixture
def staff(monkeypatch):
    monkeypatch.setattr(tasks, "Children", Child)
    monkeypatch.setattr(tasks.threading, "Thread", lambda target, daemon: SimpleNamespace(start=target))
    return tasks.Staff()


def test_a_child_is_kept_for_the_next_task_and_one_that_was_stopped_is_not(staff):
    with staff.child_for("a") as first, staff.child_for("b") as second:
        assert first is not second
        staff.stop("b")
        assert (first.stopped, second.stopped) == (False, True)
    staff.stop("a")  # too late: it is done
    with staff.child_for("c") as third:
        assert third is first
        assert not third.stopped
    staff.rest(60.0)
    assert not first.stopped
    staff.rest(0.0)
    assert first.stopped
