"""Latencies in a histogram."""

from collections import Counter

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram

from penstock.bench.latency import Latencies, bucket_us


@pytest.mark.parametrize("latency_us", [1, 2, 2047, 2048, 2049, 4097, 65_537, 1_000_001, 59_999_999])
def test_bucket_is_the_histograms_own(latency_us: int) -> None:
    """Counting by our buckets loses nothing that the histogram would keep."""
    assert bucket_us(latency_us) == HdrHistogram(1, 60_000_000, 3).get_lowest_equivalent_value(latency_us)


@pytest.mark.parametrize("percent", [0.1, 50, 90, 99, 99.9, 99.99, 100])
def test_percentiles_are_the_histograms_own(percent: float) -> None:
    """What is read from the counts is what HdrHistogram reads from the same latencies."""
    latencies_us = (np.random.default_rng(5).pareto(1.2, 2000) * 700).astype(int) + 1
    histogram = HdrHistogram(1, 60_000_000, 3)
    for latency_us in latencies_us:
        histogram.record_value(min(int(latency_us), 60_000_000))
    latencies = Latencies(Counter(bucket_us(int(latency_us)) for latency_us in latencies_us))

    assert latencies.count == 2000
    assert latencies.percentile_ms(percent) == histogram.get_value_at_percentile(percent) / 1000
    assert latencies.mean_ms == pytest.approx(histogram.get_mean_value() / 1000, rel=0.001)


def test_percentiles_are_read_in_milliseconds() -> None:
    """A hundred latencies of 1 to 100 ms have the percentiles that one expects, to three digits."""
    latencies = Latencies({bucket_us(ms * 1000): 1 for ms in range(1, 101)})

    assert [latencies.percentile_ms(percent) for percent in (50, 99, 100)] == pytest.approx([50, 99, 100], rel=0.001)
    assert (latencies.min_ms, latencies.max_ms, latencies.mean_ms) == pytest.approx((1, 100, 50.5), rel=0.001)


def test_what_is_out_of_range_is_moved_to_its_end() -> None:
    """Neither a latency of nothing nor one of two minutes is lost."""
    assert bucket_us(0) == 1
    assert Latencies({bucket_us(120_000_000): 1}).max_ms == pytest.approx(60_000, rel=0.001)


def test_encoded_latencies_are_an_hdr_histogram() -> None:
    """Other tools read what we write."""
    decoded = HdrHistogram.decode(Latencies({1000: 3, 5000: 1}).encode())

    assert (decoded.get_total_count(), decoded.get_count_at_value(1000)) == (4, 3)


def test_no_latencies_are_no_error() -> None:
    """A run without any answer has figures of 0 and no curve."""
    nothing = Latencies({})

    assert (nothing.min_ms, nothing.max_ms, nothing.mean_ms, nothing.percentile_ms(99)) == (0, 0, 0, 0)
    assert list(nothing.curve()) == []
