"""Long videos scored as the Micro-Expression Grand Challenges score them."""
