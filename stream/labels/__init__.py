"""What people say of a run's events: their labels, how far they agree, and their files in other tools' formats."""
