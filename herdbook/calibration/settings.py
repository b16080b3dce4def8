"""The section `calibrate` of params.yaml: how large each calibration is."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from herdbook.amounts import Count

Seed = Annotated[int, Field(ge=0, strict=True)]
Several = Annotated[int, Field(ge=2, le=10**9, strict=True)]  # what a spread is taken over, or a line is drawn through


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class GaussianSetting(_Settings):
    """How many labs breed Gaussians of one number of dimensions, and for how long."""

    num_dimensions: Count
    labs_per_batch: Count
    num_iterations: Several


class GaussianSettings(_Settings):
    """Gaussians that are fitted and drawn from, over and over."""

    seed: Seed
    num_batches: Several  # independent of each other; the labs of one share each draw of a budget
    settings: Annotated[tuple[GaussianSetting, ...], Field(min_length=1)]


class MixtureSettings(_Settings):
    """Mixtures of two Gaussians."""

    seed: Seed
    num_rows: Annotated[int, Field(ge=10, strict=True)]
    num_lineages: Several
    num_iterations: Several  # of every regime
    num_late_iterations: Several  # of the one lineage that is replaced until little is left


class DiscreteSettings(_Settings):
    """Tables of frequencies."""

    seed: Seed
    num_states: Several
    num_rows: Several
    num_batches: Several
    labs_per_batch: Count
    num_iterations: Several


class DigitsSettings(_Settings):
    """Variational autoencoders on pictures of digits."""

    seed: Seed
    images: Annotated[str, Field(min_length=1)] | None  # a parquet file of columns pixels and label; null: scikit-learn's digits
    num_rows: Annotated[int, Field(ge=100, strict=True)]
    num_lineages: Count
    num_iterations: Several
    num_steps: Count  # of the optimiser, for each model


class RegressionSettings(_Settings):
    """Linear regressions on labels that the last one predicted."""

    seed: Seed
    num_features: Count
    num_rows: Count  # more than num_features + 1
    num_batches: Several
    labs_per_batch: Count
    num_iterations: Annotated[int, Field(ge=2, strict=True, multiple_of=2)]


class Calibrate(_Settings):
    """All calibrations."""

    gaussian: GaussianSettings
    mixture: MixtureSettings
    discrete: DiscreteSettings
    digits: DigitsSettings
    regression: RegressionSettings
