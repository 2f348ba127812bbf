"""The same engines and pipeline that run live, measured."""
