"""The model of how many ranks pay."""

import pytest

from bench.ranks.model import best, exchange_seconds, speed_ups
from bench.ranks.report import markdown, measured


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


def test_the_report_compares_what_crossed_the_network_with_the_model():
    times = {"1": [20e-3, 22e-3], "2": [30e-3, 32e-3], "speed-up": 2 / 3, "sent": 4e6}
    figures = {"parameters": 10**6, "kinds": {"pynn": times, "torch": times}}
    compute = {"D": {"1": 40e-3, "2": 20e-3, "4": 10e-3}}
    head, *rows = measured({"D": figures, "D, network": figures}, compute)
    assert len(head) == 7
    assert rows[0] == ["D", "pynn", "21.00", "31.00", "0.67", "", ""]
    # 4 MB at 1 Gbit/s take 32 ms, and the messages of nine batch norms, of the sum and of the figures 50 us each.
    assert rows[2] == ["D, 1 Gbit/s", "pynn", "21.00", "31.00", "0.67", f"{40 / (20 + 32 + 21 * 0.05):.2f}", "4.00"]
    assert rows[3][5] == ""
    assert best({"D": {"1": 40e-3, "2": 39e-3}})[0][1] == "1: 1.0"


def test_a_table_in_markdown():
    assert markdown([["a", "b"], ["1", ""]]) == "| a | b |\n|---|---|\n| 1 |  |\n"
