import json

from restyle.evaluation.report import MANY_ROWS, Report, Section, tabulate
from restyle.io.tables import Column, Table

LEFT_OUT = {"x.png": "broken"}


def test_a_report_prints_and_writes_the_same_figures(tmp_path):
    table = Table(["method", Column("MSE", ".2f")], [["a & b", 0.128]])
    sections = [
        Section("Figures", [table], note="For the page.", prose=["Said twice."]),
        Section("Pictures alone"),
    ]
    report = Report(
        "Title", {"mse": 0.128}, sections, ["Before."], {"x.png": "broken"}, "restyle x"
    )
    assert report.text().split("\n\n") == [
        "Before.", "Figures", table.markdown(), "Said twice.", "Left out: x.png: broken"
    ]  # fmt: skip
    assert report.write(tmp_path) is report
    assert json.loads((tmp_path / "results.json").read_text()) == report.results == {"mse": 0.128}
    page = (tmp_path / "report.html").read_text()
    shown = ("Before.", "restyle x", "Figures", "For the page.", "<td>a &amp; b</td><td>0.13</td>")
    for text in (*shown, "Said twice.", "Pictures alone", "<td>x.png</td><td>broken</td>"):
        assert text in page


def test_only_long_tables_are_closed():
    short, long = Table(["x"], [["<1>"]]), Table(["x"], [["1"]] * (MANY_ROWS + 1))
    text = Report("A & B", {}, [Section(tables=[short])]).html()
    assert "<h1>A &amp; B</h1>" in text and "<td>&lt;1&gt;</td>" in text
    assert "<details>" not in text
    text = Report("A & B", {}, [Section(tables=[short, long])]).html()
    assert text.count("<details>") == 1 and f"<summary>{MANY_ROWS + 1} rows</summary>" in text


def test_records_become_rows():
    interval = {"mean": 0.5, "low": 0.25, "high": 0.75}
    table = tabulate({"b": Column("B", ".2f"), "a": "A"}, [{"a": True, "b": interval}, {"a": "x"}])
    assert table.markdown().splitlines()[2:] == [
        "| 0.50 [0.25, 0.75] | yes |",
        "|                   | x   |",
    ]
