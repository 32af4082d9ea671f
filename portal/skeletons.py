"""What stands on a page until the API has answered."""

_CARD = (
    '<li class="card bone"><span class="line w40"></span><span class="line w80"></span>'
    '<span class="line w60"></span><span class="line tall"></span></li>'
)
SKELETON = (
    '<div aria-busy="true"><span class="sr" role="status">Loading</span>'
    '<span class="line title w40 bone"></span><ul class="grid" aria-hidden="true">'
    f"{_CARD * 6}</ul></div>"
)
