"""What a model says of itself in one line: its training data, its measured score, its limits."""

import contextlib

from model.contract import ClipContract


def model_words(contract: ClipContract) -> str:
    """Training data and score; they are the model's own words, so brackets in them are no markup."""
    numbers = [contract.scores.get(name) for name in ("uf1", "chance_uf1", "n")]
    measured = "not scored"
    # Scores are anybody's: what is no number of clips, or too large to be shown, counts as none.
    with contextlib.suppress(TypeError, ValueError, OverflowError):
        measured = "UF1 {:.3f} (chance {:.3f}, n {:d})".format(*numbers)
    return f"Model trained on {contract.training_data.rstrip('. ')}; {measured}."
