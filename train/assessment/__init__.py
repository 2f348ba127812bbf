"""How a model does on people never seen, condition by condition, and where it fails."""
