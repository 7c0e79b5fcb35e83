"""Edwards curves: Ed25519 and Ed448 by the names of RFC 9864, each for its own curve.

`EdDSA`, which RFC 9864 deprecates, is the name for both; PyJWT knows only that one.
"""

from __future__ import annotations

from typing import Any

from jwt.algorithms import Algorithm
from jwt.exceptions import InvalidKeyError

NAMES = ("Ed25519", "Ed448")
"""The names, whether or not cryptography is installed."""

EDWARDS: dict[str, Algorithm] = {}
"""The algorithms by name; none without cryptography."""

try:
    from cryptography.hazmat.primitives.asymmetric import ed448, ed25519
    from jwt.algorithms import OKPAlgorithm
except ImportError:
    pass
else:

    class OneCurve(OKPAlgorithm):
        """EdDSA with the keys of a single curve."""

        def __init__(self, *kinds: type) -> None:
            super().__init__()
            self._kinds = kinds

        def prepare_key(self, key: Any) -> Any:
            prepared = super().prepare_key(key)
            if not isinstance(prepared, self._kinds):
                raise InvalidKeyError("The key is for another curve.")
            return prepared

    EDWARDS.update(
        Ed25519=OneCurve(ed25519.Ed25519PrivateKey, ed25519.Ed25519PublicKey),
        Ed448=OneCurve(ed448.Ed448PrivateKey, ed448.Ed448PublicKey),
    )
