"""What dimensions are called; alone, because the command line begins sooner without the rest."""


def label_of(dimension: str) -> str:
    """For people: ``"gpu"`` is ``"GPU"``. Also of a dimension that only a newer server knows."""
    return dimension.replace("gpu", "GPU").replace("cpu", "CPU")
