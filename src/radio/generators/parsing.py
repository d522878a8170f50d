"""How the answer is found in a generator's reply: by rules, each with an example in
docs/generators.md."""

from __future__ import annotations

import string

LETTERS = string.ascii_uppercase
"""Of the choices, in order."""
