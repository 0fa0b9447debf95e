"""Cells of files that spreadsheets open."""

from __future__ import annotations


def cell(text: str) -> str:
    """Keep a spreadsheet from reading somebody's words as a formula."""
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text
