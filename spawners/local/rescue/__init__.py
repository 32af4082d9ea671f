"""A small server in place of JupyterLab when a home is full: shows what fills it, and frees it.

Runs in the environment of the notebooks, which has tornado and jupyterhub but not this product,
as the person who owns the home. Only `usage` and this module are imported from elsewhere.
"""

from pathlib import Path


def rescue_argv(python: str) -> list[str]:
    """The single-user command of a rescue launch; `python` is the notebooks' interpreter."""
    return [python, str(Path(__file__).parent)]
