"""Figures that are measured, to be shown when all tests are done, whichever worker measured them."""

import pytest

FIGURE = "figure"


class Report:
    """``say``: a line for the end of the run."""

    def __init__(self, item: pytest.Item) -> None:
        self._item = item

    def say(self, line: str) -> None:
        self._item.user_properties.append((FIGURE, line))
