"""The model of how many ranks pay."""

import pytest

from bench.ranks.model import exchange_seconds, speed_ups


def test_without_an_exchange_the_speed_up_is_that_of_the_computation():
    assert speed_ups({1: 1.0, 2: 0.5, 4: 0.5}, 0, 0, 1e9, 0) == {1: 1.0, 2: 2.0, 4: 2.0}


def test_two_ranks_send_all_gradients_once_and_four_one_and_a_half_times():
    million = 10**6
    assert exchange_seconds(million, 3, 1, 1e9, 1e-3) == 0
    assert exchange_seconds(million, 0, 2, 1e9, 0) == pytest.approx(4e-3)
    assert exchange_seconds(million, 0, 4, 1e9, 0) == pytest.approx(6e-3)


def test_each_batch_norm_costs_two_messages_and_the_step_three():
    assert exchange_seconds(0, 5, 2, 1e9, 1e-3) == pytest.approx(13e-3)
    assert exchange_seconds(0, 5, 8, 1e9, 1e-3) == pytest.approx(39e-3)
