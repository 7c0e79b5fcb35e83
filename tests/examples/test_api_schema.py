"""The example under schemathesis: what it answers to generated calls is what its document says.

All its checks are on, those of authentication included; calls are signed in as two roles.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings

from jwt_authz.testing import authz_client

DOCUMENT = json.loads((Path(__file__).parents[2] / "openapi" / "api.json").read_text())
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
print(schemathesis.__version__, SCHEMA)
