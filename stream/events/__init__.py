"""When something happened: movements of a face that stand out, and why most of them are none."""
