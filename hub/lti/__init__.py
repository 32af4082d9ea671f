"""LTI 1.3: learning systems that launch into this site, tell who is in a course, and take scores.

The pure parts (`platforms`, `messages`, `roles`, `items`) perform no I/O but for reading their file.
"""
