"""From a dataset's recordings to a store of aligned clips."""
