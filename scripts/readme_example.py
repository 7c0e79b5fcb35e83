"""Run the README's first Python block as a reader would, and call its application.

    python -I scripts/readme_example.py README.md

With `-I`, the installed library is used, whatever the current folder contains.
"""

import importlib.util
import re
import sys
import tempfile
from pathlib import Path

from flask import Flask, url_for


def first_python_block(text: str) -> str:
    block = re.search(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    if block is None:
        raise SystemExit("no ```python block found")
    return block[1]


def run(source: str) -> Flask:
    """Import the source as a module and return its `app`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "readme_app.py")
        path.write_text(source)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
    return module.app


def urls(app: Flask) -> list[str]:
    """Return a URL for each route that answers GET, with 1 for every variable part."""
    with app.test_request_context():
        return [
            url_for(rule.endpoint, **dict.fromkeys(rule.arguments, 1))
            for rule in app.url_map.iter_rules()
            if "GET" in rule.methods and rule.endpoint != "static"
        ]


def main(readme: str) -> None:
    app = run(first_python_block(Path(readme).read_text()))
    app.config["PROPAGATE_EXCEPTIONS"] = False
    answers = {url: app.test_client().get(url) for url in urls(app)}
    for url, answer in answers.items():
        print(f"GET {url} without a token: {answer.status}")
        if answer.status_code not in (200, 401, 403, 404):
            raise SystemExit("expected status 200, 401, 403 or 404")
    refusals = [answer for answer in answers.values() if answer.status_code == 401]
    if not refusals:
        raise SystemExit("expected a guarded route that answers 401")
    for refusal in refusals:
        if refusal.mimetype != "application/problem+json" or not refusal.www_authenticate:
            raise SystemExit("expected a problem body and a challenge with the 401")


if __name__ == "__main__":
    main(*sys.argv[1:])
