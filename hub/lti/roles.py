"""What somebody is in a course of a learning system, as a role here. Roles of the institution and of
the system as a whole give nothing: who administers the learning system teaches no course by that."""

from collections.abc import Collection

_CONTEXT = "http://purl.imsglobal.org/vocab/lis/v2/membership"
_TEACHES = frozenset({"Instructor", "Administrator"})


def role_of(roles: Collection[str], *, mentors: str = "nothing") -> str:
    """``instructor``, ``assistant``, ``member``, or empty for none.

    Of several the strongest, but an assistant stays one: systems send the Instructor along, whose
    special case it is.
    """
    found = {name for role in roles for name in [_in_course(role)] if name}
    if any(name.startswith("Instructor#TeachingAssistant") for name in found):
        return "assistant"
    if found & _TEACHES or "TeachingAssistant" in found:
        return "instructor" if found & _TEACHES else "assistant"
    if mentors == "assistant" and "Mentor" in found:
        return "assistant"
    learns = any(name == "Learner" or name.startswith("Learner#") for name in found)
    return "member" if learns else ""


def _in_course(role: str) -> str:
    """``Instructor``, or ``Instructor#TeachingAssistant`` for a special case of one; empty for a role
    that is not of a course."""
    if role.startswith(f"{_CONTEXT}#"):
        return role.removeprefix(f"{_CONTEXT}#")
    if role.startswith(f"{_CONTEXT}/"):
        return role.removeprefix(f"{_CONTEXT}/")
    # The short form is allowed for roles of a course alone.
    return role if role.isalpha() else ""
