"""What stands on a page until the API has answered: grey shapes where its parts will be."""

_LINES = (
    '<span class="line w40"></span><span class="line w80"></span><span class="line w60"></span>'
)
_OFFER = f'<li class="card bone">{_LINES}<span class="line tall"></span></li>'
_CARD = f'<div class="card bone">{_LINES}</div>'
_TITLE = '<div class="page-head"><span class="line title w40 bone"></span></div>'
_OFFERS = f'<ul class="grid" aria-hidden="true">{_OFFER * 6}</ul>'
_COURSES = '<div data-room="courses"></div>'
_MINE = f'<div class="bones" data-room="mine">{_TITLE}{_CARD}</div>'
_MENU = f'{_COURSES}<div class="two"><section>{_TITLE}{_OFFERS}</section>{_MINE}</div>'
_WORKLOAD = f'{_TITLE}{_CARD}<div class="detail">{_CARD * 2}</div>'
_OPENING = f'<div class="opening">{_TITLE}{_CARD}</div>'
_OTHER = f"{_TITLE}{_CARD}"


def skeleton(path: str) -> str:
    """For the page of the shell at `path` below the prefix."""
    first, _, rest = path.strip("/").partition("/")
    if not first:
        shapes = _MENU
    elif first == "workloads" and rest:
        shapes = _WORKLOAD
    elif first == "join" or rest.endswith("/open"):
        shapes = _OPENING
    else:
        shapes = _OTHER
    status = '<span class="sr" role="status">Loading</span>'
    return f'<div aria-busy="true">{status}{shapes}</div>'
