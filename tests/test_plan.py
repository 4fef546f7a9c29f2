"""Plans: identities as documented, defaults and references resolved, fits shared, mistakes told."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from suite_fakes import SUITE, registry, signature  # noqa: F401

from mfbench.errors import UserError
from mfbench.identity import sha256_of
from mfbench.plan import Cell, Plan
from mfbench.plan.choices import choice_identity, choice_key
from mfbench.plan.planning import make_plan
from mfbench.suite import parse_suite
from mfbench.wording import Where

HEAD = '[suite]\nname = "s"\nseeds = [0]\n'
SETTING = ("seed", "dtype", "threads", "device")
OOD = '[[run]]\nprotocol = "ood_auroc"\ndata = "swiss_roll"\nagainst = ["circles"]\n'


@pytest.fixture
def plan(registry, tmp_path):  # noqa: F811
    def make(text: str, *settings: str, **more) -> Plan:
        return make_plan(parse_suite(text, tmp_path, Where("quick.toml"), settings), registry, **more)

    return make


@pytest.fixture
def complaint(plan):
    def told(text: str, *settings: str, **more) -> str:
        with pytest.raises(UserError) as caught:
            plan(text, *settings, **more)
        assert str(caught.value).isprintable()
        return str(caught.value)

    return told


def by_label(plan: Plan) -> dict[str, Cell]:
    return {cell.label: cell for cell in plan.cells}


# -- what a plan is ---------------------------------------------------------------------------------------


def test_a_suite_becomes_cells_in_the_order_written(plan):
    made = plan(SUITE)
    assert (made.suite, made.plugins, made.timing_budget, made.partial) == (
        "quick",
        ("module_a",),
        2.0,
        False,
    )
    assert [(c.run, c.label, c.seed) for c in made.cells[:4]] == [
        (0, "diffusion_markov", 0),
        (0, "diffusion_markov", 1),
        (0, "diffusion_markov", 2),
        (0, "kde(bandwidth=0.05)", 0),
    ]
    assert [(c.run, c.label, c.protocol["parameters"]["step"]) for c in made.cells[9::3]] == [
        (1, label, step) for label in ("ddpm", "ddim") for step in (1.0, 2.0, 5.0)
    ]
    assert {c.role for c in made.cells} == {"method", "reference"}
    assert len({c.cell_id for c in made.cells}) == len({c.cache_key for c in made.cells}) == 27


def test_identities_are_as_documented(plan, registry):  # noqa: F811
    made = plan(SUITE)
    fits = {fit.key: fit for fit in made.fits}
    for cell in made.cells:
        asked = {name: getattr(cell, name) for name in ("protocol", "method", "data", *SETTING)}
        assert cell.cell_id == sha256_of(asked)
        involved = choices_in([cell.protocol, cell.method, cell.data])
        known = {f"{c['kind']}/{c['name']}": registry.signatures[c["kind"], c["name"]] for c in involved}
        digests = {
            choice_key(c): sha256_of([c["name"], 1, c["parameters"], cell.seed, {}])
            for c in involved
            if c["kind"] == "dataset"
        }
        sources = {name: found.source_hash for name, found in known.items()}
        answered = {"cell_id": cell.cell_id, "sources": sources, "data": digests, "fits": cell.needs}
        assert cell.cache_key == sha256_of(answered)
        stateful = [c for c in involved if known[f"{c['kind']}/{c['name']}"].stateful]
        assert cell.needs.keys() == {choice_key(c) for c in stateful}
        assert all(choice_key(fits[key].choice) == choice for choice, key in cell.needs.items())


def test_the_key_of_a_fit_is_as_documented(plan, registry):  # noqa: F811
    fit = next(fit for fit in plan(SUITE).fits if fit.choice["name"] == "kde")
    assert fit.key == sha256_of(
        {
            **{name: getattr(fit, name) for name in ("choice", "data", *SETTING)},
            "sources": {
                "likelihood/kde": "source of likelihood kde",
                "dataset/swiss_roll": "source of dataset swiss_roll",
            },
            "digests": {choice_key(fit.data): sha256_of(["swiss_roll", 1, {"count": 10000}, fit.seed, {}])},
            "fits": {},
        }
    )


def choices_in(value) -> list[dict]:
    """Every choice inside a JSON value."""
    if isinstance(value, list):
        return [found for item in value for found in choices_in(item)]
    if not isinstance(value, dict):
        return []
    own = [{key: value[key] for key in ("kind", "name", "parameters")}] if "kind" in value else []
    return own + [found for item in value.values() for found in choices_in(item)]


def test_jobs_survive_json(plan):
    made = plan(SUITE)
    for job in (*made.cells, *made.fits):
        again = json.loads(json.dumps(job.to_json(), allow_nan=False))
        assert type(job).from_json(again) == job


def test_defaults_are_filled_in_and_the_protocol_has_its_version(plan):
    cell = by_label(plan(SUITE))["ddpm"]
    assert cell.method == {"kind": "sampler", "name": "ddpm", "parameters": {"variance": "beta"}}
    assert cell.protocol["version"] == 3
    generator = {"kind": "generator", "name": "ddpm_mlp", "parameters": {"iterations": 30000}}
    assert cell.protocol["parameters"]["generator"] == generator


@pytest.mark.parametrize("change", ["device", "dtype", "threads", "seed", "source", "version", "data source"])
def test_whatever_answers_enters_the_key(plan, registry, change):  # noqa: F811
    text = HEAD + OOD + 'methods = ["kde"]\n'
    before = plan(text).cells[0]
    if change == "device":
        after = plan(text, device="cuda").cells[0]
    elif change in ("dtype", "threads", "seed"):
        setting = {"dtype": 'suite.dtype="float64"', "threads": "suite.threads=2", "seed": "suite.seeds=[1]"}
        after = plan(text, setting[change]).cells[0]
    else:
        key = {
            "source": ("likelihood", "kde"),
            "version": ("protocol", "ood_auroc"),
            "data source": ("dataset", "circles"),
        }
        old = registry.signatures[key[change]]
        new = replace(old, version=9) if change == "version" else replace(old, source_hash="edited")
        registry.signatures[key[change]] = new
        after = plan(text).cells[0]
    assert before.cache_key != after.cache_key
    assert (before.cell_id == after.cell_id) == (change in ("source", "data source"))


def test_numbers_written_differently_are_the_same_question(plan):
    def cell(value: str) -> Cell:
        return plan(HEAD + OOD + f'methods = [{{name = "kde", bandwidth = {value}}}]').cells[0]

    assert cell("1") == cell("1.0") == cell("10e-1")
    assert cell("0.0") == cell("-0.0")
    assert cell("1") != cell("2")


def test_naming_a_default_changes_nothing(plan):
    plain = plan(HEAD + OOD + 'methods = ["diffusion_markov"]').cells
    entry = '{name = "diffusion_markov", rounds = 10, generator = {name = "ddpm_mlp", iterations = 3000}}'
    assert plan(HEAD + OOD + f"methods = [{entry}]").cells == plain


def test_labels_show_what_differs_from_the_defaults(plan):
    labels = by_label(
        plan(
            HEAD
            + OOD
            + """methods = [
                "diffusion_markov",
                {name = "diffusion_markov", rounds = 3, generator = {name = "ddpm_mlp", iterations = 9}},
                {name = "network", bias = false, hidden = [8], title = "x", offset = -2},
                "kde",
            ]"""
        )
    )
    assert list(labels) == [
        "diffusion_markov",
        "diffusion_markov(generator=ddpm_mlp(iterations=9), rounds=3)",
        "network(bias=false, hidden=[8], offset=-2, title=x)",
        "kde",
    ]


# -- fits -------------------------------------------------------------------------------------------------


def test_one_fit_serves_all_who_name_it_alike(plan):
    made = plan(SUITE)
    generators = [fit for fit in made.fits if fit.choice["parameters"] == {"iterations": 30000}]
    assert [fit.seed for fit in generators] == [0, 1, 2]
    users = [cell for cell in made.cells if generators[0].key in cell.needs.values()]
    assert len(users) == 6
    assert {cell.seed for cell in users} == {0}


def test_a_fit_stands_behind_what_it_needs(plan):
    nested = '{name = "distilled", teacher = {name = "distilled"}}'
    text = HEAD + OOD + f'methods = [{{name = "diffusion_markov", generator = {nested}}}]'
    made = plan(text)
    assert [fit.choice["name"] for fit in made.fits] == ["ddpm_mlp", "distilled", "distilled"]
    seen: set[str] = set()
    for fit in made.fits:
        assert set(fit.needs.values()) <= seen
        seen.add(fit.key)
    assert len(made.fits[2].needs) == 2
    assert len(made.cells[0].needs) == 3


def test_a_shared_fit_has_the_longest_of_its_limits(plan):
    run = OOD + 'methods = ["kde"]\n'
    text = (
        HEAD + run + "fit_time_limit = 50\n" + run + "count = 7\nfit_time_limit = 500\n" + run + "count = 8\n"
    )
    assert [fit.time_limit for fit in plan(text, "suite.fit_time_limit=70").fits] == [500.0]


def test_only_the_fits_of_selected_cells_are_planned(plan):
    made = plan(SUITE, methods=["kde"])
    assert made.partial
    assert {fit.choice["name"] for fit in made.fits} == {"kde"}


# -- files ------------------------------------------------------------------------------------------------


def test_a_file_counts_by_its_content(plan, tmp_path):
    text = HEAD + OOD + 'methods = [{name = "loaded", weights = "w/model.bin"}]'
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "model.bin").write_bytes(b"one")
    (tmp_path / "copy.bin").write_bytes(b"one")
    first = plan(text).cells[0]
    path = first.method["parameters"]["weights"]["file"]
    assert Path(path).is_absolute()
    assert Path(path).read_bytes() == b"one"
    assert first.label.startswith("loaded(weights=model.bin@")
    assert plan(text.replace("w/model.bin", "copy.bin")).cells[0].cell_id == first.cell_id
    (tmp_path / "w" / "model.bin").write_bytes(b"two")
    assert plan(text).cells[0].cell_id != first.cell_id
    folder = plan(text.replace("w/model.bin", "w")).cells[0]
    (tmp_path / "w" / "model.bin").rename(tmp_path / "w" / "other.bin")
    assert plan(text.replace("w/model.bin", "w")).cells[0].cell_id != folder.cell_id


def test_identities_of_choices_leave_paths_out():
    choice = {"kind": "k", "name": "n", "parameters": {"f": [{"file": "/a", "sha256": "00"}]}}
    assert choice_identity(choice)["parameters"] == {"f": [{"sha256": "00"}]}


def test_data_that_reads_files_are_known_by_their_manifest(plan, registry, tmp_path):  # noqa: F811
    (tmp_path / "faces").mkdir()
    text = HEAD + OOD.replace('"swiss_roll"', '{name = "folder", root = "faces"}') + 'methods = ["kde"]'
    made = plan(text, "suite.seeds=[0, 1]")
    root = str(tmp_path / "faces")
    assert registry.manifests == [("folder", {"root": root}, 0), ("folder", {"root": root}, 1)]
    parameters = choice_identity(made.cells[0].data["parameters"])
    digest = sha256_of(["folder", 1, parameters, 0, {"a.png": "00"}])
    assert digest == made_digest(made.cells[0], registry, digest)


def made_digest(cell: Cell, registry, digest: str) -> str:  # noqa: F811
    """`digest`, if the cell's cache key holds it for its data."""
    circles = {"kind": "dataset", "name": "circles", "parameters": {"count": 2000}}
    names = ["protocol/ood_auroc", "dataset/circles", "likelihood/kde", "dataset/folder"]
    answered = {
        "cell_id": cell.cell_id,
        "sources": {name: registry.signatures[tuple(name.split("/"))].source_hash for name in names},
        "data": {
            choice_key(circles): sha256_of(["circles", 1, circles["parameters"], 0, {}]),
            choice_key(cell.data): digest,
        },
        "fits": cell.needs,
    }
    return digest if sha256_of(answered) == cell.cache_key else "another"


# -- grids ------------------------------------------------------------------------------------------------


def test_methods_that_lack_a_grid_parameter_run_once(plan):
    text = (
        HEAD + OOD + 'methods = ["kde", "oracle_density"]\ngrid.bandwidth = [0.1, 0.2]\ngrid.count = [5, 6]'
    )
    cells = plan(text).cells
    assert [(c.label, c.protocol["parameters"]["count"]) for c in cells] == [
        ("kde(bandwidth=0.1)", 5),
        ("kde(bandwidth=0.1)", 6),
        ("kde(bandwidth=0.2)", 5),
        ("kde(bandwidth=0.2)", 6),
        ("oracle_density", 5),
        ("oracle_density", 6),
    ]


def test_a_run_may_have_seeds_of_its_own(plan):
    own = OOD + 'methods = ["kde"]\nseeds = [5, 7]\n'
    cells = plan(HEAD + own + OOD + 'methods = ["oracle_density"]').cells
    assert [(cell.label, cell.seed) for cell in cells] == [("kde", 5), ("kde", 7), ("oracle_density", 0)]


def test_only_seeds_that_no_earlier_run_asks_for_are_new(plan):
    first = OOD + 'methods = ["kde"]\nseeds = [5, 7]\n'
    cells = plan(HEAD + first + first.replace("[5, 7]", "[7, 9]")).cells
    assert [(cell.seed, cell.run) for cell in cells] == [(5, 0), (7, 0), (9, 1)]
    with pytest.raises(UserError, match=r"run\[1\]: asks for nothing new: all its cells stand in run\[0\]"):
        plan(HEAD + first + first.replace("[5, 7]", "[7]"))


def test_a_grid_takes_references(plan):
    text = (
        HEAD
        + '[[run]]\nprotocol = "step_consistency"\ndata = "moons"\nmethods = ["ddim"]\nstep = 1\n'
        + 'grid.generator = ["ddpm_mlp", {name = "ddpm_mlp", iterations = 9}]'
    )
    assert [fit.choice["parameters"]["iterations"] for fit in plan(text).fits] == [3000, 9]


def test_overlapping_runs_share_their_cells(plan):
    text = SUITE + (
        '[[run]]\nprotocol = "ood_auroc"\ndata = {name = "swiss_roll", count = 10000}\n'
        'against = ["circles", "moons"]\nmethods = ["oracle_density", "kde"]'
    )
    made = plan(text)
    assert len(made.cells) == 30
    assert [cell.label for cell in made.cells if cell.run == 2] == ["kde"] * 3


# -- mistakes ---------------------------------------------------------------------------------------------


ONE = '"diffusion_markov", '
AGAINST = '"circles", "moons"]'
KDE = "bandwidth = 0.05"
GRID = "grid.step = [1, 2, 5]"
COUNT = "count = 10000 }"


def markov(parameters: str) -> str:
    return f'{{name = "diffusion_markov", {parameters}}}, '


def network(parameters: str) -> str:
    return f'{{name = "network", {parameters}}}, '


@pytest.mark.parametrize(
    ("old", "new", "place", "expected"),
    [
        (
            '"ood_auroc"',
            '"ood_auroch"',
            "[0].protocol",
            "no protocol 'ood_auroch'; did you mean",
        ),
        (
            'name = "swiss_roll"',
            'name = "swiss"',
            "[0].data",
            "did you mean 'swiss_roll'?",
        ),
        (COUNT, "cuont = 1}", "[0].data.cuont", "no such parameter; did you mean 'count'?"),
        (COUNT, "count = -1}", "[0].data.count", "expected 0 or more, found -1"),
        (COUNT, "count = 1.0}", "[0].data.count", "expected an integer, found 1.0"),
        (COUNT, "count = true}", "[0].data.count", "expected an integer, found true"),
        (COUNT, 'count = "x"}', "[0].data.count", 'expected an integer, found "x"'),
        (AGAINST, "]", "[0].against", "the list is empty"),
        (
            "[" + AGAINST,
            '"moons"',
            "[0].against",
            'names of a dataset, found "moons": write',
        ),
        (AGAINST, '"moons", "moons"]', "[0].against[1]", "moons stands there twice"),
        (AGAINST, '"moons", 3]', "[0].against[1]", "expected a name or {name"),
        (AGAINST, '"moos"]', "[0].against[0]", "there is no dataset 'moos'; did you mean 'moons'"),
        (
            "against  = [" + AGAINST,
            "",
            "[0].against",
            "missing: ood_auroc needs a list",
        ),
        ("against ", "agianst ", "[0].agianst", "no such parameter; did you mean 'against'?"),
        ("methods  = [", "metods = 1\nmethods = [", "[0].metods", "did you mean 'methods'"),
        (ONE, '"kda", ', "[0].methods[0]", "there is no likelihood 'kda'; did you mean 'kde'?"),
        (ONE, '"ddim", ', "[0].methods[0]", "there is no likelihood 'ddim'"),
        (ONE, '"oracle_density", ', "[0].methods[2]", "oracle_density stands there twice"),
        (
            ONE,
            '{name = "kde", bandwidth = 5e-2}, ',
            "[0].methods[1]",
            "kde(bandwidth=0.05) stands",
        ),
        (KDE, "bandwith = 1", "[0].methods[1].bandwith", "no such parameter; did you mean 'bandwidth'?"),
        (KDE, 'bandwidth = "x"', "[0].methods[1].bandwidth", 'expected a number or nothing, found "x"'),
        (KDE, "bandwidth = {a = 1}", "[0].methods[1].bandwidth", 'a number or nothing, found {"a": 1}'),
        (ONE, markov('reduce = "maen"'), "[0].methods[0].reduce", "did you mean 'mean'"),
        (ONE, markov("reduce = 3"), "[0].methods[0].reduce", "expected one of 'mean', 'logmeanexp', found 3"),
        (
            ONE,
            markov('generator = {name = "ddpm_mlp", iteration = 1}'),
            "[0].methods[0].generator.iteration",
            "no such parameter; did you mean 'iterations'",
        ),
        (
            ONE,
            markov('generator = "hen"'),
            "[0].methods[0].generator.child.child",
            "references in a circle: hen -> egg -> hen",
        ),
        (
            ONE,
            '{name = "loaded", weights = "no.bin"}, ',
            "[0].methods[0].weights",
            "there is no file",
        ),
        (ONE, '{name = "loaded", weights = 3}, ', "[0].methods[0].weights", "expected the path"),
        (ONE, '{name = "loaded", weights = "~nobody-here/x"}, ', "[0].methods[0].weights", "cannot be read"),
        (ONE, '"loaded", ', "[0].methods[0].weights", "missing: loaded needs a path"),
        (ONE, network("hidden = 3"), "[0].methods[0].hidden", "a list of integers, found 3: write [3]"),
        (ONE, network("hidden = []"), "[0].methods[0].hidden", "the list is empty"),
        (ONE, network('hidden = [3, "x"]'), "[0].methods[0].hidden[1]", 'expected an integer, found "x"'),
        (ONE, network("bias = 1"), "[0].methods[0].bias", "expected true or false, found 1"),
        (ONE, network("title = 1"), "[0].methods[0].title", "expected a text, found 1"),
        (GRID, "grid.stp = [1, 2]", "[1].grid.stp", "has such a parameter; did you mean 'step'?"),
        (GRID, "grid.step = [1, 2, 1.0]", "[1].grid.step[2]", "the value stands there twice"),
        (GRID, 'grid.step = [1, "a"]', "[1].grid.step[1]", "expected a number"),
        (GRID, "grid.step = [1]\nstep = 2", "[1].step", "stands in the grid as well"),
        (GRID, "", "[1].step", "missing: step_consistency needs a number"),
        (
            '["ddpm", "ddim"]',
            '["stepped"]',
            "[1].grid.step",
            'of protocol "step_consistency" and of',
        ),
    ],
)
def test_mistakes_are_told_where_they_are(complaint, old, new, place, expected):
    assert old in SUITE
    message = complaint(SUITE.replace(old, new, 1))
    assert message.startswith(f"quick.toml: run{place}: ")
    assert expected in message


def test_a_run_that_adds_nothing_is_a_mistake(complaint):
    second = SUITE[SUITE.rindex("[[run]]") :]
    assert "run[2]: asks for nothing new: all its cells stand in run[1]" in complaint(SUITE + second)


def test_data_that_cannot_be_read_are_told_where_they_are_named(complaint, registry):  # noqa: F811
    registry.unreadable.add(("dataset", "swiss_roll"))
    message = complaint(SUITE)
    assert "run[0].data: dataset 'swiss_roll' of plugin fakes cannot be used: it crashed" in message


def test_a_method_that_cannot_be_read_costs_its_own_cells(plan, registry):  # noqa: F811
    sound = plan(SUITE)
    registry.unreadable.add(("likelihood", "kde"))
    made = plan(SUITE)
    assert made.warnings == ("likelihood 'kde' of plugin fakes cannot be used: it crashed",)
    assert [cell.method["name"] for cell in made.cells] == [cell.method["name"] for cell in sound.cells]
    for cell in made.cells:
        assert bool(cell.unreadable) == (cell.method["name"] == "kde")
        assert not (cell.unreadable and cell.needs)


def test_a_reference_that_cannot_be_read_costs_the_cells_that_need_it(plan, registry):  # noqa: F811
    registry.unreadable.add(("generator", "ddpm_mlp"))
    made = plan(SUITE)
    assert {fit.choice["name"] for fit in made.fits}.isdisjoint({"ddpm_mlp", "diffusion_markov"})
    hit = {cell.method["name"] for cell in made.cells if cell.unreadable}
    assert "diffusion_markov" in hit
    assert "kde" not in hit


def test_what_is_not_named_may_be_broken(plan, registry):  # noqa: F811
    registry.unreadable.add(("generator", "ddpm_mlp"))
    generator = 'generator = {name = "egg", child = {name = "hen", child = {name = "leaf"}}}'
    registry.signatures["generator", "leaf"] = signature("generator", "leaf")
    assert plan(HEAD + OOD + f'methods = [{{name = "diffusion_markov", {generator}}}]').cells


def test_data_cannot_refer_to_methods(complaint, registry):  # noqa: F811
    from suite_fakes import reference

    registry.signatures["dataset", "drawn"] = signature(
        "dataset", "drawn", reference("generator", "generator", "ddpm_mlp")
    )
    told = complaint(HEAD + OOD.replace('"swiss_roll"', '"drawn"') + 'methods = ["kde"]')
    assert "run[0].data: a data set can refer to data sets only" in told


def test_a_list_whose_default_is_empty_may_be_empty(plan):
    assert plan(HEAD + OOD + 'methods = [{name = "network", extra = []}]').cells[0].label == "network"


# -- settings and selections ------------------------------------------------------------------------------


def test_a_bare_setting_holds_for_everyone_who_has_the_parameter(plan):
    made = plan(SUITE, "iterations=7")
    fits = [fit.choice["parameters"] for fit in made.fits if fit.choice["name"] == "ddpm_mlp"]
    assert fits == [{"iterations": 7}] * 6
    assert by_label(made)["diffusion_markov(generator=ddpm_mlp(iterations=7))"]
    counts = {(c["kind"], c["parameters"]["count"]) for cell in plan(SUITE, "count=7").cells
              for c in choices_in([cell.protocol, cell.data]) if "count" in c["parameters"]}  # fmt: skip
    assert counts == {("protocol", 7), ("dataset", 7)}


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        (
            "iteratoins=7",
            "--set iteratoins: nothing in this suite has such a parameter; did you mean 'iterations'",
        ),
        ("iterations=-7", "expected 0 or more, found -7"),
        (
            "step=7",
            "run[1].grid.step: stands in a grid and cannot be set for all: use --set run.1.grid.step=",
        ),
        ("run.1.generator.iterations=true", "run[1].generator.iterations: expected an integer, found true"),
    ],
)
def test_settings_that_fit_nobody(complaint, setting, expected):
    assert expected in complaint(SUITE, setting)


@pytest.mark.parametrize(
    ("select", "count"),
    [
        ("ddim", 9),
        ("swiss_roll ddim", 9),
        ("step_*", 18),
        ("*kde(bandwidth=0.05)", 3),
        ("ood_auroc", 9),
        ("", 27),
    ],
)
def test_select(plan, select, count):
    made = plan(SUITE, select=select)
    assert len(made.cells) == count
    assert made.partial == bool(select)
    everything = {cell.cell_id: cell for cell in plan(SUITE).cells}
    assert all(everything[cell.cell_id] == cell for cell in made.cells)


def test_selecting_nothing_is_a_mistake(complaint):
    assert "matches none of the suite's cells; they read like" in complaint(SUITE, select="ddmi")
    assert "the suite has no method 'kdee'; did you mean 'kde'" in complaint(SUITE, methods=["kdee"])
    assert "matches none" in complaint(SUITE, select="ddim", methods=["kde"])


def test_methods(plan):
    assert {cell.method["name"] for cell in plan(SUITE, methods=["kde", "ddim"]).cells} == {"kde", "ddim"}


# -- cost -------------------------------------------------------------------------------------------------


def test_signatures_are_read_in_few_children(plan, registry):  # noqa: F811
    plan(SUITE)
    assert registry.children <= 4


def test_a_hundred_thousand_cells_are_planned_in_seconds(plan):
    text = SUITE.replace("[0, 1, 2]", str(list(range(1000)))).replace("[1, 2, 5]", str(list(range(1, 50))))
    started = time.perf_counter()
    cells = plan(text).cells
    assert len(cells) == 101_000
    assert time.perf_counter() - started < 10


def test_planning_imports_no_torch_and_no_pandas():
    code = "import sys, mfbench.plan.planning; print({'torch', 'pandas', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# -- constructors that refuse ------------------------------------------------------------------------------


def test_every_method_and_data_set_is_constructed_once_in_one_go(plan, registry):  # noqa: F811
    plan(SUITE)
    (trials,) = registry.trials
    assert [f"{trial.kind}/{trial.name}" for trial in trials] == [
        "dataset/circles",
        "dataset/moons",
        "dataset/swiss_roll",
        "generator/ddpm_mlp",
        "likelihood/diffusion_markov",
        "likelihood/kde",
        "likelihood/oracle_density",
        "generator/ddpm_mlp",
        "dataset/swiss_roll",
        "sampler/ddpm",
        "sampler/ddim",
    ]
    assert [trial.parameters["iterations"] for trial in trials if trial.name == "ddpm_mlp"] == [3000, 30000]
    markov = next(trial for trial in trials if trial.name == "diffusion_markov")
    assert markov.sources == {
        ("generator", "ddpm_mlp"): "source of generator ddpm_mlp",
        ("likelihood", "diffusion_markov"): "source of likelihood diffusion_markov",
    }


def test_only_what_is_selected_is_constructed(plan, registry):  # noqa: F811
    plan(SUITE, methods=["kde"])
    (trials,) = registry.trials
    assert "kde" in {trial.name for trial in trials}
    assert not {"diffusion_markov", "ddpm"} & {trial.name for trial in trials}


@pytest.mark.parametrize(
    ("refused", "place"),
    [
        (("likelihood", "kde"), "run[0].methods[1]"),
        (("dataset", "swiss_roll"), "run[0].data"),
        (("dataset", "moons"), "run[0].against[1]"),
        (("generator", "ddpm_mlp"), "run[0].methods[0].generator"),
        (("sampler", "ddim"), "run[1].methods[1]"),
    ],
)
def test_a_constructor_that_refuses_is_bad_input(complaint, registry, refused, place):  # noqa: F811
    registry.refused[refused] = "bandwidth = 0: above 0\nis right"
    assert complaint(SUITE) == f"quick.toml: {place}: bandwidth = 0: above 0\\nis right"


def test_what_cannot_be_read_is_not_constructed(plan, registry):  # noqa: F811
    registry.unreadable.add(("likelihood", "kde"))
    plan(SUITE)
    assert "kde" not in {trial.name for trial in registry.trials[0]}
