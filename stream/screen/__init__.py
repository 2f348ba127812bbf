"""What people see: the overlay, its window, the terminal, the end of a run in words."""
