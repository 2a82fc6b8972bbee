"""A valid 3×3 convolution as Winograd's F(2×2, 3×3): 16 products instead of 36 for each 2×2 block of results.

`winograd` with smaller tiles: the weights grow by 16/9 instead of fourfold, its constants are 1 and 1/2, and the error is that
of a direct convolution. Its transforms make 4 values for each result where those of F(4×4) make 2.25.
"""

from __future__ import annotations

import numpy as np

from .winograd import Transforms, Winograd

B_T = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]], float)
G = np.array([[1, 0, 0], [1 / 2, 1 / 2, 1 / 2], [1 / 2, -1 / 2, 1 / 2], [0, 0, 1]])
A_T = np.array([[1, 1, 1, 0], [0, 1, -1, -1]], float)
ONES = 1  # the column of A_T that is all ones


class Winograd2(Winograd):
    """Relu(Conv) -> F(2×2, 3×3), for layers of the form `winograd2`."""

    forms = ("winograd2",)

    def transforms(self) -> Transforms:
        """Those of F(2, 3)."""
        return Transforms(B_T, G, A_T, ONES)
