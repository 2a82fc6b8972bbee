from __future__ import annotations

import csv
import io
import math

from seg_toolkit.evaluation import image_table


def test_a_row_has_all_scores_of_an_image() -> None:
    summary = {
        "images": 1,
        "pixel_error": 0.25,
        "classes": [{"name": "background", "dice": 0.5}, {"name": "cell, big", "dice": None}],
        "pixels": {"true": [1, 2], "found": [3, 4]},
        "objects": {"images": 1, "ap": {"0.50": 1.0}, "seg": math.nan},
    }
    rows = list(csv.DictReader(io.StringIO(image_table([("b", summary), ("a", {"pixel_error": 0.0, "rand": 0.1})]))))
    assert rows == [
        {
            "name": "b", "pixel_error": "0.25", "background dice": "0.5", "cell, big dice": "", "objects ap 0.50": "1.0",
            "objects seg": "", "rand": "",
        },
        {
            "name": "a", "pixel_error": "0.0", "background dice": "", "cell, big dice": "", "objects ap 0.50": "",
            "objects seg": "", "rand": "0.1",
        },
    ]  # fmt: skip
