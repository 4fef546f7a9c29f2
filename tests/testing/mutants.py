"""Deliberately broken plugins: each is a sound one of tests/plugins with one thing changed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

PLUGINS = Path(__file__).parent.parent / "plugins"


@dataclass(frozen=True)
class Mutant:
    """In class `of` of a file, `old` becomes `new`; then `check` fails, and its message matches `why`."""

    name: str
    file: str
    kind: str
    of: str
    old: str
    new: str
    check: str
    why: str


def _of(file: str, kind: str, of: str, *changes: tuple[str, str, str, str, str]) -> list[Mutant]:
    return [Mutant(name, file, kind, of, *change) for name, *change in changes]


LIKELIHOODS = _of(
    "diagonal_gaussian",
    "likelihood",
    "DiagonalGaussian",
    (
        "raises_in_fit",
        "x = data.train.x.flatten(1)",
        'raise RuntimeError("no convergence")',
        "fits",
        "RuntimeError: no convergence",
    ),
    ("peeks_at_the_test_split", "data.train.x", "data.test.x", "fits", "fit is given no test split"),
    (
        "standardises_in_place",
        "x = data.train.x.flatten(1)",
        "x = data.train.x.mul_(2.0)",
        "fits",
        "changes the training data",
    ),
    (
        "keeps_a_dimension",
        ".sum(1)",
        ".sum(1, keepdim=True)",
        "scores",
        r"must return shape \(1,\), not \(1, 1\)",
    ),
    ("gives_nan", ".sum(1)", ".sum(1).sub(1e9).log()", "scores", "returned NaN for 1 of 1"),
    ("gives_integers", ".sum(1)", ".sum(1).long()", "scores", "floating-point numbers, not torch.int64"),
    ("gives_numpy", ".sum(1)", ".sum(1).numpy()", "scores", "must return a torch.Tensor, not ndarray"),
    (
        "calls_itself_unbounded",
        "def __init__",
        'bound = "upper"\n\n    def __init__',
        "densities",
        "bound is 'upper'",
    ),
    ("reverses_the_sign", ".sum(1)", ".sum(1).neg()", "orientation", "is the sign reversed"),
    ("scores_all_alike", ".sum(1)", ".sum(1).mul(0)", "orientation", r"AUROC 0.500 on an easy pair"),
    (
        "changes_its_state",
        ".sum(1)",
        ".sum(1) + self.mean.add_(0.1).sum()",
        "same seed",
        "asked twice with the same seed",
    ),
    (
        "draws_globally_in_fit",
        "self.mean, self.std = x.mean(0), ",
        "self.mean, self.std = x.mean(0) + torch.rand(1), ",
        "global generators",
        "fit draws from the global generator of torch",
    ),
    (
        "draws_globally_in_score",
        ".sum(1)",
        ".sum(1) + torch.rand(len(x))",
        "global generators",
        "the answer draws from the global generator of torch",
    ),
    (
        "clamps_in_place",
        "x.flatten(1)).sum(1)",
        "x.clamp_(-1, 1).flatten(1)).sum(1)",
        "inputs untouched",
        "changed in place",
    ),
    (
        "subtracts_the_batch_mean",
        ".sum(1)",
        ".sum(1) - x.mean()",
        "batches",
        "splitting the batch changes answers",
    ),
    (
        "adds_the_position",
        ".sum(1)",
        ".sum(1) + torch.arange(len(x))",
        "order",
        "permuting the batch changes answers",
    ),
    (
        "adds_random_positions",
        ".sum(1)",
        ".sum(1) + torch.randn(len(x), generator=rng).sort().values",
        "order",
        "permuting the batch changes the distribution",
    ),
    (
        "forgets_the_std",
        '{"mean": self.mean, "std": self.std}',
        '{"mean": self.mean, "std": 0 * self.std + 2}',
        "state",
        "after load_state_dict answers differ",
    ),
    (
        "is_off_by_a_constant",
        ".sum(1)",
        ".sum(1) + 50",
        "integral",
        r"integrates to e\^50.0 .*, not to 1: it is off by \+50.00 nats",
    ),
    (
        "leaves_out_a_constant",
        ".sum(1)",
        ".sum(1) + 1.8378770664",
        "integral",
        r"it is off by \+1.8\d nats, or is no density",
    ),
    ("is_in_log10", ".sum(1)", ".sum(1) / 2.302585093", "integral", "it is in log10, and must be in nats"),
    ("is_in_log2", ".sum(1)", ".sum(1) / 0.6931471806", "integral", "it is in log2, and must be in nats"),
    (
        "calls_a_distance_a_density",
        "torch.distributions.Normal(self.mean, self.std).log_prob(x.flatten(1)).sum(1)",
        "-(x.flatten(1) - self.mean).square().sum(1)",
        "integral",
        r"integrates to 3.\d+ .*, not to 1.* no density \(then bound is \"score\"\)",
    ),
    (
        "holds_too_little",
        ".sum(1)",
        ".sum(1) - 1",
        "integral",
        r"integrates to 0.3\d+ .*, not to 1: it is off by -1.0\d nats|off by -0.9\d nats",
    ),
    (
        "bounds_from_above",
        "def log_prob(self, x, *, rng=None):",
        'bound = "lower"\n\n    def log_prob(self, x, *, rng=None):\n        return self.density(x) + 2\n\n'
        "    def density(self, x):",
        "integral",
        "not to at most 1: it is off by",
    ),
    (
        "sets_the_default_dtype_and_threads",
        "x = data.train.x.flatten(1)",
        "x = data.train.x.flatten(1)\n        torch.set_default_dtype(torch.float64)\n"
        "        torch.set_num_threads(torch.get_num_threads() + 5)",
        "global settings",
        r"default dtype from torch.float32 to torch.float64 \(in 'fits'\), number of threads from \d+ to",
    ),
    (
        "turns_gradients_off",
        ".sum(1)",
        ".sum(1).mul(1 + 0 * float(bool(torch.set_grad_enabled(False))))",
        "global settings",
        r"grad mode from True to False \(in 'scores'\)",
    ),
    (
        "asks_for_deterministic_algorithms",
        "x = data.train.x.flatten(1)",
        "torch.use_deterministic_algorithms(True)\n        x = data.train.x.flatten(1)",
        "global settings",
        "deterministic algorithms from [01] to 2",
    ),
    (
        "seeds_globally",
        "x = data.train.x.flatten(1)",
        "torch.manual_seed(12345)\n        x = data.train.x.flatten(1)",
        "global generators",
        "fit draws from the global generator of torch",
    ),
    ("saves_a_list", '"mean": self.mean,', '"mean": self.mean.tolist(),', "state", "is a list"),
    ("saves_nothing", '{"mean": self.mean, "std": self.std}', "{}", "state", "empty after fit"),
    ("has_no_type_hint", "floor: float = 1e-3", "floor=1e-3", "signature", "'floor' has no type hint"),
    ("needs_a_value", "floor: float = 1e-3", "floor: float", "fits", "needs a value for 'floor'"),
    (
        "is_no_likelihood",
        "mfbench.Likelihood",
        "mfbench.Sampler",
        "signature",
        "not a subclass of mfbench.Likelihood",
    ),
)
GENERATORS = _of(
    "diagonal_gaussian",
    "generator",
    "GaussianSampler",
    (
        "gives_too_few",
        "randn(count,",
        "randn(max(1, count - 1),",
        "samples",
        r"must return shape \(24, 2\), not \(23, 2\)",
    ),
    ("gives_infinity", "self.scale * std", "self.scale / (0 * std)", "samples", "non-finite values"),
    (
        "ignores_rng",
        "generator=rng,",
        "generator=torch.Generator().manual_seed(0),",
        "variety",
        "two seeds give the same samples",
    ),
    ("collapses", "std * z", "std * z[:1]", "variety", "are all the same"),
    (
        "gives_two_points",
        "std * z",
        "std * z[torch.arange(count) % 2 if count > 1 else [0]]",
        "variety",
        r"24 samples of one call are 2 different ones \(of the data: 24\)",
    ),
    (
        "repeats_the_training_data",
        "self.shape = data.shape",
        "self.shape, self.sample = data.shape, lambda count, *, rng: data.train.x[\n"
        "            torch.randperm(len(data.train), generator=rng)[:count]]",
        "memorisation",
        "100% of 24 samples are training samples: it repeats what it was fitted on",
    ),
    (
        "repeats_a_third_of_it_nearly",
        "self.shape = data.shape",
        "self.shape, drawn = data.shape, self.sample\n"
        "        self.sample = lambda count, *, rng: torch.where((torch.arange(count) % 3 > 0)[:, None],\n"
        "            drawn(count, rng=rng), data.train.x[:count] * (1 + 1e-6))",
        "memorisation",
        "33% of 24 samples are training samples",
    ),
    (
        "draws_globally",
        "generator=rng,",
        "",
        "global generators",
        "the answer draws from the global generator of torch",
    ),
)
SAMPLERS = _of(
    "euler_sampler",
    "sampler",
    "Euler",
    (
        "leaves_out_the_shorter_step",
        "math.ceil(",
        "math.floor(",
        "any step",
        "does the last, shorter step reach t = 0",
    ),
    (
        "stops_half_way",
        "range(steps)",
        "range(steps // 2)",
        "convergence",
        "does not converge to the exact solution",
    ),
    (
        "has_the_wrong_factor",
        "- sigma[k]) *",
        "- sigma[k]) * 0.9 *",
        "convergence",
        "does not converge to the exact solution",
    ),
    (
        "is_off_by_a_factor",
        "return y",
        "return 1.004 * y",
        "bias",
        r"as T grows the error at h = 1 goes to 0.\d+% of the data's std, not to 0",
    ),
    ("is_off_by_a_shift", "return y", "return y + 0.002", "bias", "goes to 0.4.% of the data's std"),
    ("never_moves", "+ (sigma[k + 1] - sigma[k]) *", "+ 0 *", "convergence", "does not converge"),
    ("clips", "return y", "return y.clamp(-1, 1)", "convergence", "does not converge"),
    (
        "gives_times_beyond_one",
        "float(times[k])",
        "float(times[k]) * 100",
        "samples",
        r"given times from 100 to 100, not in \[0, 1\]",
    ),
    ("gives_one_time", "torch.full((len(y),),", "torch.full((1,),", "samples", r"times of shape \(1,\)"),
    (
        "overstates_its_steps",
        "evaluations_per_step = 1",
        "evaluations_per_step = 4",
        "evaluations",
        "evaluations_per_step is 4, but 1 were counted",
    ),
    (
        "is_random_in_secret",
        "return y",
        "return y + 0 if rng is None else y + 0.01 * torch.randn(y.shape, generator=rng).to(y)",
        "determinism",
        "deterministic is True, but two seeds",
    ),
    (
        "is_not_random",
        "deterministic = True",
        "deterministic = False",
        "determinism",
        "deterministic is False, but two seeds",
    ),
    (
        "wants_whole_steps",
        "steps = math.ceil(",
        "assert 100 % step == 0, 'h must divide T'\n        steps = math.ceil(",
        "any step",
        "AssertionError: h must divide T",
    ),
    (
        "spreads_too_far",
        "return y",
        "return y + 0.5 * torch.randn(y.shape, generator=rng, dtype=y.dtype)\n\n    deterministic = False",
        "distribution",
        "off by",
    ),
)
ANCESTRAL = _of(
    "ancestral_sampler",
    "sampler",
    "Ancestral",
    ("spreads", "return x", "return 1.05 * x", "distribution", "mean off by .*, std by .* at T = 400"),
    (
        "is_too_noisy",
        "bbar.sqrt() * z",
        "1.1 * bbar.sqrt() * z",
        "distribution",
        r"mean off by .*, std by \d+\.\d% of the data's std",
    ),
    ("is_shifted", "return x", "return x + 0.03", "distribution", r"mean off by [5-7]\.\d%"),
    (
        "has_one_seed",
        "generator=rng,",
        "generator=torch.Generator().manual_seed(0),",
        "determinism",
        "two seeds",
    ),
)
DISENTANGLERS = _of(
    "pca_disentangler",
    "disentangler",
    "PCA",
    (
        "keeps_the_image",
        "return (x.flatten(1) - self.mean) @ self.directions",
        "return x - x.mean()",
        "codes",
        r"encode must return \(n, d\)",
    ),
    (
        "encodes_nothing",
        "return (x.flatten(1) - self.mean) @ self.directions",
        "return 0 * (x.flatten(1) - self.mean) @ self.directions",
        "codes",
        "every sample the same code",
    ),
    (
        "decodes_flat",
        ".unflatten(1, self.shape)",
        "",
        "decoding",
        r"PCA_\w*.decode must return shape|decode must return shape",
    ),
    ("has_float_symbols", ".long()", ".float()", "symbols", "int64"),
    (
        "normalises_by_batch",
        "(x.flatten(1) - self.mean)",
        "(x.flatten(1) - x.flatten(1).mean(0))",
        "batches",
        "splitting the batch changes answers",
    ),
    (
        "hides_that_it_is_guided",
        "x = data.train.x.flatten(1)",
        "x = data.train.x.flatten(1) * (1 + data.train.attributes[:, :1])",
        "labels",
        "labels_used is 0, but without labels it fails",
    ),
    (
        "is_guided_where_it_can_be",
        "x = data.train.x.flatten(1)",
        "x = data.train.x.flatten(1) * (1 if data.train.y is None else 1 + data.train.y[:, None])",
        "labels",
        "labels_used is 0, but without labels it is fitted otherwise",
    ),
    (
        "uses_more_labels_than_there_are",
        "        self.shape = spec.shape",
        "        self.shape, self.labels_used = spec.shape, 2.0",
        "labels",
        "labels_used is 2.0: a share",
    ),
)
DEFENSES = _of(
    "logistic_defense",
    "defense",
    "LogisticRegression",
    (
        "answers_labels",
        "return linear(x.flatten(1) - 0.5, self.weight)",
        "return linear(x.flatten(1) - 0.5, self.weight).argmax(1).float()",
        "logits",
        "logits must return shape",
    ),
    (
        "hides_its_gradient",
        "return linear(x.flatten(1) - 0.5, self.weight)",
        "return linear(x.detach().flatten(1) - 0.5, self.weight)",
        "gradients",
        "not differentiable in x",
    ),
    ("leaves_the_range", ".clamp(0, 1)", ".mul(3)", "purification", r"not in \[0, 1\]"),
    (
        "learns_nothing",
        "self.rate * gradient",
        "0 * gradient",
        "accuracy",
        "accuracy 0.50 on clean, easy images",
    ),
    (
        "draws_globally",
        "torch.randn(x.shape, generator=rng,",
        "torch.randn(x.shape,",
        "global generators",
        "draws from the global generator of torch",
    ),
)
ATTACKS = _of(
    "logistic_defense",
    "attack",
    "MaskedGradient",
    ("ignores_the_mask", "threat.masks is None", "True", "masks", "changed beyond any one of the masks"),
    (
        "ignores_the_radius",
        "(threat.radius or 1.0)",
        "1.0",
        "radius",
        "the radius is 0.1, but a pixel changes by",
    ),
    ("leaves_the_range", ".clamp(0, 1)", "", "masks", r"not in \[0, 1\]"),
    (
        "goes_downhill",
        "(threat.radius or 1.0) *",
        "-(threat.radius or 1.0) *",
        "strength",
        "turns 0% of a linear classifier's right answers",
    ),
    (
        "divides_by_zero",
        "gradient.sign()",
        "(gradient / gradient.abs().amax())",
        "zero gradients",
        "non-finite values",
    ),
)
DATASETS = _of(
    "ring_protocol",
    "dataset",
    "Ring",
    (
        "has_another_shape",
        "shape = (2,)",
        "shape = (3,)",
        "splits",
        r"must return shape \(256, 3\), not \(256, 2\)",
    ),
    ("has_float_labels", ".long()", ".float()", "labels", "train.y must be"),
    ("has_too_few_names", '("upper", "lower")', '("upper",)', "labels", "beyond the 1 names of classes"),
    (
        "draws_globally",
        "generator=rng)\n        return",
        ")\n        return",
        "same seed",
        "have different test splits",
    ),
    (
        "serves_train_as_test",
        '"ring", split, self.seed',
        '"ring", self.seed',
        "leakage",
        "100% of the test samples are training samples",
    ),
    (
        "forgets_its_seed",
        "super().__init__(seed=seed)",
        "super().__init__()",
        "digest",
        "does not depend on the seed",
    ),
)
PROTOCOLS = _of(
    "ring_protocol",
    "protocol",
    "HeldOutDensity",
    (
        "names_another_metric",
        'Value("log_density"',
        'Value("density"',
        "evaluates",
        "metric 'density' is none of the protocol's",
    ),
    (
        "has_no_overall_value",
        '"log_density", "", mean',
        '"log_density", "test", mean',
        "evaluates",
        "no value of the primary metric",
    ),
    ("draws_globally", "mean.value,", "mean.value + float(torch.rand(1)),", "same seed", "values differ"),
    ("times_nothing", "clock.measure(", "(lambda f: None)(", "timing", "called 0 times in the quality pass"),
    (
        "has_two_primaries",
        "primary=True),)",
        'primary=True), mfbench.Metric("n", primary=True))',
        "signature",
        "exactly one",
    ),
)

DIMENSIONS = _of(
    "subspace_dimension",
    "likelihood",
    "SubspaceDimension",
    ("gives_one_dimension", "(len(x),)", "()", "scores", r"must return shape \(1,\), not \(\)"),
    (
        "ranks_but_gives_no_dimension",
        'raise mfbench.Unsupported("it ranks nothing")',
        "return -x.flatten(1).norm(dim=1)\n\n    def intrinsic_dimension(self, x, *, rng=None):\n"
        "        return x.flatten(1).norm(dim=1).mul(torch.nan)",
        "dimensions",
        r"intrinsic_dimension returned NaN for 1 of 1",
    ),
    (
        "counts_the_batch",
        "x.new_full((len(x),), self.ratio)",
        "x.new_full((len(x),), float(len(x)))",
        "batches",
        "splitting the batch changes answers",
    ),
)

MUTANTS = [
    *LIKELIHOODS,
    *DIMENSIONS,
    *GENERATORS,
    *SAMPLERS,
    *ANCESTRAL,
    *DISENTANGLERS,
    *DEFENSES,
    *ATTACKS,
    *DATASETS,
    *PROTOCOLS,
]


def source_of(file: str) -> str:
    """The sound plugin with all its mutants registered beside its own names."""
    text = (PLUGINS / f"{file}.py").read_text()
    _, *parts = re.split(r"(?=^class |^@mfbench\.hookimpl)", text, flags=re.MULTILINE)
    bodies, registrations = [], []
    for number, mutant in enumerate(mutant for mutant in MUTANTS if mutant.file == file):
        (body,) = (part for part in parts if part.startswith(f"class {mutant.of}("))
        assert mutant.old in body, f"{mutant.name}: {mutant.old!r} is not in {mutant.of}"
        name = f"{mutant.of}{number}"
        bodies.append(body.replace(mutant.old, mutant.new).replace(f"class {mutant.of}(", f"class {name}("))
        registrations.append(f'    registry.{mutant.kind}("{mutant.name}", {name}, summary="broken")\n')
    hook = text.index("@mfbench.hookimpl")
    return "".join([text[:hook], *bodies, text[hook:], *registrations])
