"""A model goes on learning from few clips of other people, and is scored against what it was before."""
