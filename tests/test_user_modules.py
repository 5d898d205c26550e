"""Networks as users write them: each is pruned to an equal, smaller one, or refused with the reason."""

import pytest
import torch

from bench.coverage.checks import check, leaves
from bench.user_modules import cases


@pytest.mark.parametrize("name", cases.CASES)
def test_half_of_the_units_of_a_users_module_go_and_the_rest_computes_the_same(name):
    row = check("prunet", f"own:{name}")
    refused = cases.CASES[name].refused
    assert row["result"] == ("refused" if refused else "equal"), row["reason"]
    assert refused in row["reason"]


@torch.no_grad()
@pytest.mark.parametrize("name", cases.CASES)
def test_a_users_module_is_the_same_at_every_build_and_reads_its_inputs(name):
    first, example = cases.build(name)
    second, same = cases.build(name)
    assert all(map(torch.equal, example, same))
    outputs = leaves(first(*[value.clone() for value in example]))
    assert all(map(torch.equal, outputs, leaves(second(*[value.clone() for value in same]))))
    assert all(float((value[0] - value[1]).abs().max()) > 0 for value in outputs)
