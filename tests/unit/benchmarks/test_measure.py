"""What a measurement must show before it counts."""

import dataclasses

import pytest

from tests.benchmarks.errors import BenchmarkError
from tests.benchmarks.load import Result
from tests.benchmarks.measure import Expected, Sample, problems
from tests.benchmarks.rows import capacity, cpu_per_mib, cpu_per_request

RESULT = (
    'RESULT {"requests": 1000, "microseconds": 2000000, "bytes": 1300000, "connect_errors": 0, "read_errors": 0, '
    '"write_errors": 0, "timeouts": 0, "statuses_above_399": 0}\n'
)
HITS = Expected(size=1024, cached=True, under_way=64)
PASSES = Expected(size=1024, cached=False, under_way=64)
SAMPLE = Sample(
    requests=1000, seconds=2.0, bytes=1 << 21, parts={"varnishd": 0.02, "varnishncsa": 0.01}, workers=2, memory_growth=0
)


def test_the_loads_result_is_read_from_its_line():
    assert Result.parse("Running 2s test\n" + RESULT) == Result(requests=1000, seconds=2.0, bytes=1300000)


@pytest.mark.parametrize("kind", ["connect_errors", "read_errors", "write_errors", "timeouts", "statuses_above_399"])
def test_one_failed_request_makes_the_load_fail(kind):
    with pytest.raises(BenchmarkError, match=kind):
        Result.parse(RESULT.replace(f'"{kind}": 0', f'"{kind}": 1'))


def test_a_load_without_answers_or_without_a_result_fails():
    with pytest.raises(BenchmarkError, match="no request was answered"):
        Result.parse(RESULT.replace('"requests": 1000', '"requests": 0'))
    with pytest.raises(BenchmarkError, match="reported no result"):
        Result.parse("Running 2s test\n")


def test_a_clean_run_of_hits_counts():
    assert problems(SAMPLE, logged=1064, fetched=0, expected=HITS) == []


def test_a_clean_run_of_misses_counts():
    assert problems(SAMPLE, logged=1000, fetched=1064, expected=PASSES) == []


@pytest.mark.parametrize("logged", [999, 1065])
def test_a_log_with_other_requests_than_were_answered_does_not_count(logged):
    assert problems(SAMPLE, logged=logged, fetched=0, expected=HITS) == [f"answered 1000 requests but logged {logged}"]


def test_one_hit_that_went_to_the_origin_does_not_count():
    assert "1 of 1000 requests went to the origin" in problems(SAMPLE, logged=1000, fetched=1, expected=HITS)[0]


@pytest.mark.parametrize("fetched", [0, 999, 1065])
def test_misses_the_origin_did_not_see_or_saw_twice_do_not_count(fetched):
    assert f"1000 requests but {fetched}" in problems(SAMPLE, logged=1000, fetched=fetched, expected=PASSES)[0]


def test_bodies_that_are_missing_do_not_count():
    short = dataclasses.replace(SAMPLE, bytes=1000 * 1023)

    assert "too few" in problems(short, logged=1000, fetched=0, expected=HITS)[0]


def test_bodies_where_none_belong_do_not_count():
    expected = dataclasses.replace(HITS, size=0)

    assert "too many" in problems(SAMPLE, logged=1000, fetched=0, expected=expected)[0]


def test_values_are_cpu_a_request_cpu_a_mib_and_capacity_of_all_workers():
    assert cpu_per_request(SAMPLE, ()) == pytest.approx(30)
    assert cpu_per_request(SAMPLE, ("varnishd",)) == pytest.approx(20)
    assert cpu_per_mib(SAMPLE, ()) == pytest.approx(15_000)
    assert capacity(SAMPLE, ()) == pytest.approx(2 * 1000 / 0.03)
    assert SAMPLE.rate == 500
