import json

from restyle.evaluation.report import Report, Section
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
    assert json.loads((tmp_path / "results.json").read_text()) == report.record() == {"mse": 0.128}
    page = (tmp_path / "report.html").read_text()
    shown = ("Before.", "restyle x", "Figures", "For the page.", "<td>a &amp; b</td><td>0.13</td>")
    for text in (*shown, "Said twice.", "Pictures alone", "<td>x.png</td><td>broken</td>"):
        assert text in page
