"""The arithmetic and the tables of bench/report.py; nothing is measured here."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parent.parent


class Row(NamedTuple):
    key: str
    label: str
    digits: int


ROWS = [Row("start", "start, ms", 0), Row("rss", "RSS, MB", 1)]
RESULTS = {
    "ours": {"start": [100.0, 80.0, 90.0], "rss": [25.0, None, None]},
    "theirs": {"start": [200.0, 100.0, 150.0], "rss": [None, 50.0, None]},
}


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT)
    return importlib.import_module("bench.report")


def target(report: ModuleType, **fields: Any) -> Any:
    return report.Target(
        **{"label": "start", "measure": "start", "contestant": "ours", "limit": 0.6} | fields
    )


def test_a_ratio_is_taken_within_each_round(report: ModuleType) -> None:
    assert report.ratios([100.0, 80.0, 90.0], [200.0, 100.0, 150.0]) == [0.5, 0.8, 0.6]


def test_a_round_that_lacks_a_side_has_no_ratio(report: ModuleType) -> None:
    assert report.ratios([100.0, None, 90.0, 5.0], [None, 100.0, 150.0, 0.0]) == [0.6]


def test_the_spread_is_minimum_median_maximum_of_what_is_there(report: ModuleType) -> None:
    assert report.Spread.of([3.0, None, 1.0, 10.0, 2.0]) == report.Spread(1.0, 2.5, 10.0)
    assert report.Spread.of([None, None]) is None


def test_a_target_compares_the_median_of_the_ratios(report: ModuleType) -> None:
    spread = report.spread_of(target(report, against="theirs"), RESULTS)
    assert spread == report.Spread(0.5, 0.6, 0.8)
    assert target(report, limit=0.6).met(spread)
    assert not target(report, limit=0.59).met(spread)
    assert target(report, limit=0.6, at_least=True).met(spread)
    assert not target(report, limit=0.61, at_least=True).met(spread)


def test_a_target_without_a_rival_compares_the_figure_itself(report: ModuleType) -> None:
    assert report.spread_of(target(report), RESULTS) == report.Spread(80.0, 90.0, 100.0)


def test_the_targets_table_says_what_is_met_and_what_was_not_measured(report: ModuleType) -> None:
    targets = [
        target(report, against="theirs"),
        target(report, label="RSS", measure="rss", limit=20),
        target(report, against="nobody"),
    ]
    assert report.targets_table(targets, RESULTS).splitlines() == [
        "| target | aim | min | median | max | met |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        "| start | ≤ 0.6 times | 0.50 | 0.60 | 0.80 | yes |",
        "| RSS | ≤ 20 | 25.00 | 25.00 | 25.00 | **no** |",
        "| start | ≤ 0.6 times | - | - | - | not measured |",
    ]


def test_the_figures_table_shows_every_contestant_that_was_measured(report: ModuleType) -> None:
    assert report.figures_table(ROWS, ["ours", "absent", "theirs"], RESULTS).splitlines() == [
        "| measure | ours | theirs |",
        "| --- | ---: | ---: |",
        "| start, ms | 90 (80 to 100) | 150 (100 to 200) |",
        "| RSS, MB | 25.0 | 50.0 |",
    ]


def test_the_ratios_table_divides_by_the_base_and_leaves_out_empty_rows(report: ModuleType) -> None:
    assert report.ratios_table(ROWS, ["ours", "theirs"], "ours", RESULTS).splitlines() == [
        "| measure | theirs |",
        "| --- | ---: |",
        "| start, ms | 1.67 (1.25 to 2.00) |",
    ]


def test_the_text_replaces_what_stood_between_the_markers(report: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n", encoding="utf-8")
    report.write(page, "\nnew\n")
    assert page.read_text(encoding="utf-8") == f"before\n{report.BEGIN}\nnew\n{report.END}\nafter\n"


@pytest.mark.parametrize("page", ["{0}", "{1}", "{1} {0}", "{0} {1} {0} {1}", "{0} {1} {1}", ""])
def test_a_page_without_one_pair_of_markers_is_refused(report: ModuleType, page: str) -> None:
    with pytest.raises(ValueError, match="once each"):
        report.insert(page.format(report.BEGIN, report.END), "new")


def test_the_page_of_the_docs_has_its_markers(report: ModuleType) -> None:
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    assert "new" in report.insert(page, "new")
