import csv
import io

from dashboard.exports import csv_bytes


def test_a_spreadsheet_computes_nothing_it_was_given() -> None:
    hostile = ["=HYPERLINK(1)", "+1", "-1", "@SUM(A1)", "\t=1", "plain", None, -1.5, 3]
    text = csv_bytes(("name", "=head"), [(value, "x") for value in hostile]).decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0] == ["name", "'=head"]
    assert [row[0] for row in rows[1:]] == [
        "'=HYPERLINK(1)", "'+1", "'-1", "'@SUM(A1)", "'\t=1", "plain", "", "-1.5", "3",
    ]  # fmt: skip
