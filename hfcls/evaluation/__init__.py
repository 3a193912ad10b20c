"""Running a classifier and judging it."""
