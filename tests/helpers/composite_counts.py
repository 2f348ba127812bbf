"""Clips of each class (negative, positive, surprise) of every subject of the MEGC 2019 composite.

Counts alone, a row a subject in the order of the subjects' names: the sizes and classes of its leave-one-subject-out
folds, on which scoring protocols can be compared without the datasets.
"""

SMIC = (
    (3, 2, 1), (0, 1, 5), (22, 11, 6), (10, 4, 5), (1, 0, 1), (2, 0, 2), (9, 4, 0), (0, 1, 3),
    (3, 3, 1), (0, 8, 1), (0, 10, 0), (3, 2, 5), (1, 1, 2), (2, 0, 5), (0, 1, 1), (14, 3, 5),
)  # fmt: skip
CASME2 = (
    (2, 1, 0), (5, 1, 3), (4, 0, 1), (2, 0, 0), (0, 1, 5), (1, 1, 2), (5, 0, 0), (1, 0, 0),
    (5, 5, 0), (4, 0, 0), (5, 2, 4), (0, 2, 0), (0, 3, 0), (1, 1, 1), (1, 2, 0), (23, 7, 1),
    (3, 3, 5), (2, 0, 0), (1, 0, 0), (2, 0, 0), (7, 1, 0), (2, 0, 1), (3, 0, 2), (9, 2, 0),
)  # fmt: skip
SAMM = (
    (9, 0, 2), (1, 5, 2), (3, 0, 1), (4, 0, 0), (13, 7, 0), (2, 0, 1), (6, 0, 0), (2, 7, 1),
    (2, 0, 1), (2, 1, 2), (3, 0, 1), (2, 0, 1), (0, 1, 0), (2, 2, 0), (2, 0, 0), (3, 2, 0),
    (1, 0, 0), (1, 0, 0), (9, 0, 0), (1, 0, 2), (3, 0, 0), (1, 0, 0), (4, 0, 0), (4, 1, 0),
    (3, 0, 0), (7, 0, 1), (1, 0, 0), (1, 0, 0),
)  # fmt: skip
COMPOSITE = SMIC + CASME2 + SAMM
