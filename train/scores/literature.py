"""Scores that papers report on the MEGC2019 data, to be shown beside a run's own. Compared, never assumed.

Three classes, leave-one-subject-out, UF1 and UAR (See, Yap, Li, Hong, Wang: "MEGC 2019 - The Second Facial
Micro-Expressions Grand Challenge", FG 2019). The composite is SMIC-HS, CASME II and SAMM together.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

COMPOSITE = "composite"
PART_TITLES: Mapping[str, str] = MappingProxyType(
    {COMPOSITE: "composite", "smic": "SMIC", "casme2": "CASME II", "samm": "SAMM"}
)
"""The parts that papers report, in the order of the columns."""

PROTOCOL_N: Mapping[str, int] = MappingProxyType({COMPOSITE: 442, "smic": 164, "casme2": 145, "samm": 133})
"""Clips of each part under the MEGC2019 rules: a run on other clips is not the same experiment."""

CAUTION = (
    "Many of the published numbers choose the epoch on the test fold, and average over folds: "
    "they are optimistic by an amount that their papers do not say."
)
WITHOUT_CHOOSING = "Without choosing on the test fold, shallow networks reach a composite UF1 between .70 and .74."

_FANG = (
    "Fang, Liu, Liu: Enhanced feature extraction and attention mechanisms for micro-expression recognition, MLSP 2024"
)
_IN_FANG = "as compared in Fang, Liu, Liu, MLSP 2024"


@dataclass(frozen=True)
class PartScore:
    """UF1 and, where it is reported, UAR, both 0 to 1."""

    uf1: float
    uar: float | None = None


@dataclass(frozen=True)
class PublishedRow:
    """A method's scores by part (a key of `PART_TITLES`); parts that it does not report are left out."""

    method: str
    year: int
    source: str
    scores: Mapping[str, PartScore]
    note: str = ""
    same_network: bool = False


def _row(
    method: str,
    year: int,
    source: str,
    note: str = "",
    same_network: bool = False,
    **parts: tuple[float, float | None],
) -> PublishedRow:
    scores = {part: PartScore(*values) for part, values in parts.items()}
    return PublishedRow(method, year, source, MappingProxyType(scores), note, same_network)


PUBLISHED: tuple[PublishedRow, ...] = (
    _row(
        "LBP-TOP",
        2014,
        "baseline of the challenge: See et al., FG 2019; also in Fang, Liu, Liu, MLSP 2024, which gives the year",
        composite=(0.588, 0.579),
        smic=(0.200, 0.528),
        casme2=(0.703, 0.743),
        samm=(0.395, 0.410),
    ),
    _row(
        "Bi-WOOF",
        2018,
        f"Liong et al., Signal Processing: Image Communication 2018; {_IN_FANG}",
        smic=(0.573, 0.583),
        casme2=(0.781, 0.803),
        samm=(0.521, 0.514),
    ),
    _row(
        "CapsuleNet",
        2019,
        f"Quang, Chun, Tokuyama, FG 2019; {_IN_FANG}",
        smic=(0.582, 0.588),
        casme2=(0.707, 0.702),
        samm=(0.621, 0.599),
    ),
    _row(
        "OFF-ApexNet",
        2019,
        "Gan et al., Signal Processing: Image Communication 2019",
        composite=(0.720, 0.710),
        smic=(0.682, 0.670),
        casme2=(0.876, 0.868),
        samm=(0.541, 0.539),
    ),
    _row(
        "STSTNet",
        2019,
        "Liong et al., FG 2019",
        note="UAR as its published log gives it; printed elsewhere as .701, .869 and .681 on SMIC, CASME II and SAMM",
        composite=(0.735, 0.719),
        smic=(0.680, 0.670),
        casme2=(0.838, 0.819),
        samm=(0.659, 0.642),
    ),
    _row(
        "GEME",
        2021,
        f"Nie et al., Neurocomputing 2021; {_IN_FANG}",
        smic=(0.629, 0.657),
        casme2=(0.840, 0.851),
        samm=(0.687, 0.654),
    ),
    _row(
        "ME-PLAN",
        2022,
        f"Zhao et al., Neural Networks 2022; {_IN_FANG}",
        smic=(0.713, 0.726),
        casme2=(0.863, 0.878),
        samm=(0.716, 0.742),
    ),
    _row(
        "FeatRef",
        2022,
        "Zhou et al., Pattern Recognition 2022",
        composite=(0.784, 0.783),
        smic=(0.701, 0.708),
        casme2=(0.892, 0.887),
        samm=(0.737, 0.716),
    ),
    _row(
        "SLSTT",
        2022,
        "Zhang et al., IEEE Transactions on Affective Computing 2022",
        composite=(0.816, 0.790),
        smic=(0.740, None),
        casme2=(0.901, None),
        samm=(0.715, None),
    ),
    _row(
        "Micron-BERT",
        2023,
        "Nguyen et al., CVPR 2023",
        smic=(0.855, 0.838),
        casme2=(0.903, 0.891),
        samm=(0.839, 0.848),
    ),
    _row(
        "HTNet",
        2024,
        "Wang et al., Neurocomputing 2024",
        note="the predictions it ships give .831/.818 on the composite",
        composite=(0.860, 0.848),
        smic=(0.805, 0.791),
        casme2=(0.953, 0.952),
        samm=(0.813, 0.812),
    ),
    _row(
        "SRMCL",
        2024,
        "Bao et al., IEEE Transactions on Affective Computing 2024",
        composite=(0.863, 0.883),
        smic=(0.795, None),
        casme2=(0.964, None),
        samm=(0.847, None),
    ),
    _row(
        "this network, as published",
        2024,
        _FANG,
        note="best epoch on each left-out subject, perfect folds count 1, averaged over folds",
        same_network=True,
        smic=(0.732, 0.751),
        casme2=(0.818, 0.827),
        samm=(0.720, 0.744),
    ),
    _row(
        "LTR3O",
        2025,
        "Zhu et al., IEEE Transactions on Affective Computing 2025",
        composite=(0.893, 0.882),
        smic=(0.834, None),
        casme2=(0.958, None),
        samm=(0.891, None),
    ),
    _row(
        "D-FACE",
        2026,
        "as commonly quoted; not checked against its publication",
        composite=(0.894, 0.897),
        smic=(0.842, None),
        casme2=(0.974, None),
        samm=(0.872, None),
    ),
)
"""By year. Sources are where the method was published; "as compared in" names the table that the numbers come from."""
