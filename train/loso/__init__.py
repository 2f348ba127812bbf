"""Leave one subject out: folds, processes, the run's folder, scores over all folds."""
