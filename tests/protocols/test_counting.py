"""Evaluations are counted where they happen, whoever owns the predictor, and the predictor is put back."""

from __future__ import annotations

import pytest
import torch
from protocol_fakes import Normal
from torch import nn

from mfbench.contracts import DiffusionModel, Likelihood
from mfbench.protocols.counting import CountingPredictor, cost, count_evaluations


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.schedule = "the schedule"
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x, t):
        return self.weight * x


class Model(DiffusionModel, nn.Module):
    def __init__(self):
        nn.Module.__init__(self)
        self.predictor = Network()


class Reading(Likelihood):
    def __init__(self, generator):
        self.generator = generator

    def log_prob(self, x, *, rng=None):
        for _ in range(3):
            x = self.generator.predictor(x, torch.zeros(len(x)))
        return x.sum(1)


class Wrapping(Likelihood):
    def __init__(self, likelihood):
        self.likelihood = likelihood


def test_rows_are_counted_through_references_of_references():
    model = Model()
    network = model.predictor
    reading = Reading(model)
    with count_evaluations(Wrapping(reading)) as counter:
        reading.log_prob(torch.zeros(7, 2))
    assert counter.rows == 21
    assert model.predictor is network


def test_the_predictor_is_put_back_after_an_error():
    model = Model()
    network = model.predictor
    with pytest.raises(RuntimeError), count_evaluations(Reading(model)):
        raise RuntimeError
    assert model.predictor is network


def test_attributes_and_parameters_are_forwarded():
    counter = CountingPredictor(Network())
    assert counter.schedule == "the schedule"
    assert [parameter.item() for parameter in counter.parameters()] == [1.0]
    with pytest.raises(AttributeError):
        _ = counter.no_such_attribute
    exact = CountingPredictor(Normal().noise_predictor(10))
    assert exact.schedule.num_steps == 10


def test_vector_jacobian_products_are_counted_apart():
    counter = CountingPredictor(Network())
    x = torch.ones(5, 2, requires_grad=True)
    eps = counter(x, torch.zeros(5))
    torch.autograd.grad(eps.sum(), x, retain_graph=True)
    torch.autograd.grad(eps[:, 0].sum(), x)
    with torch.no_grad():
        counter(x, torch.zeros(5))
    assert (counter.rows, counter.vjp_rows) == (10, 10)
    assert cost(counter, 5) == (2.0, ["2 vector-Jacobian products a sample"])


def test_compiled_code_reports_its_own():
    counter = CountingPredictor(Network())
    counter.report(rows=12, vjp_rows=4)
    assert (counter.rows, counter.vjp_rows) == (12, 4)


def test_methods_without_a_network_have_no_count():
    with count_evaluations(Wrapping(None)) as counter:
        pass
    assert counter is None
    assert cost(counter, 10) == (None, [])
