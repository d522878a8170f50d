"""The config files of the runs: what is shipped as a recipe, and the small overlays here."""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent
SHIPPED = HERE.parents[1] / "configs"

FILES: dict[str, tuple[Path, ...]] = {
    "bi_encoder": (SHIPPED / "recipes/cpu_question_side.yaml",),
    "multi_vector": (SHIPPED / "recipes/cpu_question_side.yaml", HERE / "multi_vector.yaml"),
    "both_sides": (SHIPPED / "recipes/cpu_both_sides.yaml",),
    "cross_encoder": (SHIPPED / "recipes/cpu_question_side.yaml", HERE / "cross_encoder.yaml"),
    # the recipes themselves, with their groups
    "radio": (),
    "radio_groups": (),
    "answer_match": (SHIPPED / "teachers/answer_match.yaml",),
}
"""Files of a name, where they are not one here of that name."""


def configs(*names: str) -> list[str]:
    """Arguments that name the files of rerankers and systems, which are merged in this order."""
    arguments: list[str] = []
    for name in names:
        for file in FILES.get(name, (HERE / f"{name}.yaml",)):
            arguments += ["--config", str(file)]
    return arguments
