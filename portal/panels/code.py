"""A launch as code: the same ask for the command line, as YAML, and in Python."""

import json
import shlex
from collections.abc import Mapping

import yaml


def as_cli(offer: str, answers: Mapping[str, str], name: str) -> str:
    """A command that starts it and waits."""
    words = ["perijove", "run", "--offer", offer]
    if name:
        words += ["--name", name]
    for key, value in answers.items():
        words += ["--set", f"{key}={value}"]
    return " ".join(shlex.quote(word) for word in [*words, "--wait"])


def as_yaml(offer: str, answers: Mapping[str, str], name: str) -> str:
    """The body of the request, for a file."""
    return yaml.safe_dump(_body(offer, answers, name), sort_keys=False, allow_unicode=True)


def as_python(offer: str, answers: Mapping[str, str], name: str, url: str) -> str:
    """A script that starts it; the token comes from the environment."""
    body = json.dumps(_body(offer, answers, name), indent=4, ensure_ascii=False)
    return (
        "import os\n"
        "import uuid\n\n"
        "import requests\n\n"
        "answer = requests.post(\n"
        f"    {json.dumps(url + '/services/control/v1/workloads')},\n"
        "    headers={\n"
        '        "Authorization": "token " + os.environ["PERIJOVE_TOKEN"],\n'
        '        "Idempotency-Key": str(uuid.uuid4()),\n'
        "    },\n"
        f"    json={body.replace(chr(10), chr(10) + '    ')},\n"
        "    timeout=30,\n"
        ")\n"
        "answer.raise_for_status()\n"
        'print(answer.json()["id"], answer.json()["status"])\n'
    )


def _body(offer: str, answers: Mapping[str, str], name: str) -> dict[str, object]:
    return {"offer": offer, **({"name": name} if name else {}), "set": dict(answers)}
