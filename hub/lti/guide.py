"""What an administrator types into a learning system, and from it into ours: values only."""

from typing import Any

from hub.lti.services import LINE_SCOPE, ROSTER_SCOPE, SCORE_SCOPE

CANVAS_CLOUD = "https://canvas.instructure.com"
_CANVAS_SIGN_IN = "https://sso.canvaslms.com"


def addresses(site: str, name: str) -> dict[str, str]:
    """Where a learning system called `name` finds this site as a tool."""
    ours = f"{site}/hub/lti/{name}"
    return {
        "tool": f"{ours}/launch",
        "login_initiation": f"{ours}/login",
        "redirection": f"{ours}/launch",
        "content_selection": f"{ours}/deep-link",
        "public_keys": f"{site}/hub/lti/jwks",
    }


def entry(kind: str, address: str, name: str) -> dict[str, Any]:
    """An entry for lti.yaml; what only the learning system knows is to be filled in."""
    common: dict[str, Any] = {"name": name, "title": kind.title()}
    if kind == "moodle":
        return common | {
            "issuer": address,
            "client_id": "FILL-IN",
            "deployments": ["FILL-IN"],
            "auth_login_url": f"{address}/mod/lti/auth.php",
            "auth_token_url": f"{address}/mod/lti/token.php",
            "jwks_url": f"{address}/mod/lti/certs.php",
        }
    # All of Canvas in the cloud is one issuer; its own installations are set up alike.
    cloud = address.endswith(".instructure.com")
    sign_in = _CANVAS_SIGN_IN if cloud else address
    return common | {
        "issuer": CANVAS_CLOUD if cloud else address,
        "client_id": "FILL-IN",
        "deployments": ["FILL-IN"],
        "auth_login_url": f"{sign_in}/api/lti/authorize_redirect",
        "auth_token_url": f"{sign_in}/login/oauth2/token",
        "jwks_url": f"{sign_in}/api/lti/security/jwks",
    }


def developer_key(site: str, name: str) -> dict[str, Any]:
    """A developer key of Canvas, as its form takes it under "Paste JSON"."""
    ours = addresses(site, name)
    linking = {
        "message_type": "LtiDeepLinkingRequest", "target_link_uri": ours["content_selection"],
        "text": "Perijove",
    }  # fmt: skip
    return {
        "title": "Perijove",
        "description": "Labs on shared GPUs",
        "oidc_initiation_url": ours["login_initiation"],
        "target_link_uri": ours["tool"],
        "public_jwk_url": ours["public_keys"],
        "scopes": [LINE_SCOPE, SCORE_SCOPE, ROSTER_SCOPE],
        "extensions": [
            {
                "platform": "canvas.instructure.com",
                "privacy_level": "public",
                "settings": {
                    "placements": [
                        {
                            "placement": "course_navigation",
                            "message_type": "LtiResourceLinkRequest",
                            "target_link_uri": ours["tool"],
                            "text": "Perijove",
                            "windowTarget": "_blank",
                        },
                        {"placement": "link_selection", **linking},
                        {"placement": "assignment_selection", **linking},
                    ]
                },
            }
        ],
        "custom_fields": {},
    }
