"""The step that keeps rows about as likely, to the founder, as people's own."""

from typing import Annotated

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from herdbook.steps.heuristics import Band
from herdbook.steps.step import Material

OpenShare = Annotated[float, Field(gt=0, lt=1, strict=True)]


class LikelihoodBand(Band):
    """Rejects rows whose mean nats per token under the founder lie outside two quantiles of human rows'.

    Both sides must cut: to keep what a model finds most likely is to drop the tails, by which collapse begins
    (Shumailov et al. 2024, definition 2.1). A row without a score is rejected as "unscored"."""

    low_quantile: OpenShare
    high_quantile: OpenShare

    def reasons(self) -> tuple[str, ...]:
        """See Step."""
        return *super().reasons(), "unscored"

    def scores(self, rows: pa.Table, human: pa.Table) -> NDArray[np.float64]:
        """See Band; NaN where there is none."""
        return rows["nll_nats"].to_numpy()

    def faults(self, rows: pa.Table, material: Material) -> list[str | None]:
        """See Filter."""
        is_unscored = np.isnan(self.scores(rows, material.human)).tolist()
        return ["unscored" if is_so else fault for is_so, fault in zip(is_unscored, super().faults(rows, material), strict=True)]
