"""Courses: what a tenant of kind ``course`` has besides its place in the tree."""
