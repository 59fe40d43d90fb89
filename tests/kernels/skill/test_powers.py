"""Logarithm and power against the library's, over all that a posterior can be."""

import numpy as np
import pytest

from kernels.skill.inlining import kernel
from kernels.skill.powers import exp2, log2


@kernel
def raised(x, power, out):
    for i in range(len(x)):
        out[i] = exp2(power[i] * log2(x[i]))


@pytest.fixture(scope="module")
def drawn():
    random = np.random.default_rng(0)
    return 10.0 ** (-300.0 * random.random(20_000)), random.random(20_000)


def test_powers_agree_with_the_library_to_1e_5(drawn):
    x, power = drawn
    out = np.zeros_like(x)
    raised(x, power, out)
    np.testing.assert_allclose(out, x**power, rtol=1e-5)


def test_one_stays_exactly_one_and_order_is_kept(drawn):
    _, power = drawn
    out = np.zeros_like(power)
    raised(np.ones_like(power), power, out)
    assert (out == 1.0).all()
    x = np.sort(10.0 ** (-10.0 * np.random.default_rng(1).random(2_000)))
    raised(x, np.full_like(x, 0.3), out)
    assert (np.diff(out[: len(x)]) >= -1e-5 * out[1 : len(x)]).all()


def test_what_is_too_small_stays_above_zero():
    out = np.zeros(2)
    raised(np.array([1e-300, 2.3e-308]), np.array([1.0, 1.0]), out)
    assert (out > 0).all()
    assert (out < 1e-290).all()
