"""Behind the opener: containers, one module a kind, collections by their layout, and the walk through all of it."""
