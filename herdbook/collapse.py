"""What "model collapse" can mean: each claim names the definition that it speaks of."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Definition:
    """One meaning of "model collapse": what it says, and who says so."""

    sentence: str
    source: str


# Schaeffer et al. 2025 (arXiv 2503.03150) count eight meanings in the literature, some of which conflict; so a claim names its own.
COLLAPSE: dict[str, Definition] = {
    "population_risk": Definition(
        "Loss on human text grows at all from one generation to a later one.", "Gerstgrasser et al. 2024, arXiv 2404.01413"
    ),
    "catastrophic_risk": Definition(
        "Loss on human text grows so far that the model is of no more use; the claim's bound says how far that is.",
        "Schaeffer et al. 2025, arXiv 2503.03150",
    ),
    "divergence": Definition(
        "Loss on human text grows without bound as generations go on; a bounded growth is no collapse.",
        "Gerstgrasser et al. 2024, arXiv 2404.01413; Kazdan et al. 2024, arXiv 2410.16713",
    ),
    "variance_loss": Definition(
        "The text of later generations spreads less, up to all of it being alike (late collapse).",
        "Shumailov et al. 2024, Nature 631:755, definition 2.1 and theorem 3.1",
    ),
    "tail_loss": Definition(
        "What is rare in human text is written less and less and then not at all (early collapse).",
        "Shumailov et al. 2024, Nature 631:755, definition 2.1",
    ),
    "mode_loss": Definition(
        "Whole kinds of human text are no longer written, while others remain.",
        "Alemohammad et al. 2023, arXiv 2307.01850, as falling recall",
    ),
    "scaling_change": Definition(
        "More data helps less than as much human data would, or not at all beyond some size.",
        "Dohmatob et al. 2024, arXiv 2402.07043 and 2410.04840",
    ),
    "accuracy_loss": Definition(
        "Later generations give fewer right answers where a program can check them.",
        "Feng et al. 2024, arXiv 2406.07515; Briesch et al. 2023, arXiv 2311.16822",
    ),
}
