"""What a model says of itself in one line: its training data, its measured score, its limits."""

from model.contract import ClipContract


def model_words(contract: ClipContract) -> str:
    """Training data and score; they are the model's own words, so brackets in them are no markup."""
    numbers = [contract.scores.get(name) for name in ("uf1", "chance_uf1", "n")]
    measured = "not scored"
    if all(isinstance(number, int | float) for number in numbers):
        measured = "UF1 {:.3f} (chance {:.3f}, n {:d})".format(*numbers)
    return f"Model trained on {contract.training_data.rstrip('. ')}; {measured}."
