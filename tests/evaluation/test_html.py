from restyle.evaluation.html import MANY_ROWS, Page
from restyle.io.tables import Table


def test_only_long_tables_are_closed(tmp_path):
    page = Page("A & B")
    page.table(Table(["x"], [["<1>"]]))
    page.save(tmp_path / "short.html")
    text = (tmp_path / "short.html").read_text()
    assert "<h1>A &amp; B</h1>" in text and "<td>&lt;1&gt;</td>" in text
    assert "<details>" not in text
    page.table(Table(["x"], [["1"]] * (MANY_ROWS + 1)))
    page.save(tmp_path / "long.html")
    text = (tmp_path / "long.html").read_text()
    assert text.count("<details>") == 1 and f"<summary>{MANY_ROWS + 1} rows</summary>" in text
