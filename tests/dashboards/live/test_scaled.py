"""Times of rules and routes are divided, and nothing else is."""

from __future__ import annotations

import pytest

from tests.dashboards.live.bands import Scale, bucket, exact, faults
from tests.dashboards.live.scaled import scaled_duration, scaled_expression, scaled_routes, seconds_of
from tests.dashboards.live.substituted import label_and_selector, rate_interval_seconds, substituted
from tests.support.prometheus import Sample


@pytest.mark.parametrize(
    ("expression", "scaled"),
    [
        ("rate(a[5m]) > 0.1", "rate(a[5000ms]) > 0.1"),
        ("max_over_time(a[1h30m:1m] offset 1d)", "max_over_time(a[90000ms:1000ms] offset 1440000ms)"),
        ("time() - max(max_over_time(a[2m])) > 300", "time() - max(max_over_time(a[2000ms])) > 5"),
        ("predict_linear(a[6h], 86400) < 0", "predict_linear(a[360000ms], 1440) < 0"),
        ('b{le="10.0"} > 14.4 * 0.01', 'b{le="10.0"} > 14.4 * 0.01'),
        ("job:b:increase5m >= 10", "job:b:increase5m >= 10"),
    ],
)
def test_expression_is_scaled_in_its_times_only(expression: str, scaled: str) -> None:
    assert scaled_expression(expression, 60.0) == scaled


def test_duration_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="not a duration"):
        seconds_of("5 minutes")


def test_duration_of_zero_stays_zero_and_a_short_one_is_a_millisecond_at_least() -> None:
    assert (scaled_duration("0s", 60.0), scaled_duration("1ms", 60.0)) == ("0ms", "1ms")


def test_routes_are_scaled_with_those_below() -> None:
    route = {"receiver": "a", "group_wait": "1m", "routes": [{"receiver": "b", "repeat_interval": "4h"}]}
    scaled = {"receiver": "a", "group_wait": "1000ms", "routes": [{"receiver": "b", "repeat_interval": "240000ms"}]}
    assert scaled_routes(route, 60.0) == scaled


def test_variables_are_put_in_as_grafana_does() -> None:
    asked = 'rate(a{job=~"$job"}[$__rate_interval]) + increase(a[${__range}])'
    found = substituted(asked, range_seconds=60.0, step_seconds=10.0)
    assert found == 'rate(a{job=~".+"}[10500ms]) + increase(a[60000ms])'
    assert rate_interval_seconds(0.5) == 2.0
    assert label_and_selector('label_values(a{b="c"}, job)') == ("job", 'a{b="c"}')


def test_variable_that_nobody_knows_is_refused() -> None:
    with pytest.raises(KeyError):
        substituted("a{b=$unknown}", range_seconds=60.0, step_seconds=1.0)


def test_faults_name_what_is_missing_too_much_and_wrong() -> None:
    samples = [Sample({"channel": "a", "job": "x"}, 0.0, 1.0), Sample({"channel": "b"}, 0.0, 2.0)]
    assert faults(samples, {"a": exact(1), "b": exact(2)}) == []
    assert len(faults(samples, {"a": exact(2), "c": exact(1)})) == 3


def test_count_through_a_range_is_itself_or_a_little_more_but_no_other_number() -> None:
    low, high = Scale(60.0, 100).count(7)
    assert low == 7.0
    assert 7.0 < high < 7.1


def test_bucket_holds_what_was_driven() -> None:
    assert bucket(0.3, 0.3, (0.1, 0.5, 1.0)) == (0.1, 0.5)
    assert bucket(0.3, 0.7, (0.1, 0.5, 1.0)) == (0.1, 1.0)
