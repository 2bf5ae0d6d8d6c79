"""What an opened page says and offers, as its reader sees it."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest


def said(page: AppTest) -> str:
    """Every sentence and table cell of a page, with the escapes of markdown taken out."""
    assert not page.exception, page.exception
    written = [*page.title, *page.subheader, *page.markdown, *page.text, *page.error, *page.warning, *page.success]
    parts = [str(part.value) for part in written]
    parts += [" ".join(map(str, table.value.to_numpy().ravel())) for table in page.dataframe]
    told = "\n".join(parts).replace("\\", "").replace("\u2060", "")
    assert "Something went wrong" not in told, told
    return told


def offered(page: AppTest) -> list[str]:
    """What the page's buttons say, those that can be pressed."""
    return [button.label.replace("\\", "") for button in page.button if not button.disabled]
