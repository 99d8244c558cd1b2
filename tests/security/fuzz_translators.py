"""`python fuzz_translators.py bodies|nodes …libFuzzer's arguments`: atheris drives a translator, guided by coverage.

Started by test_atheris.py, with atheris where it alone finds it. An input on which a translator fails stays in a file.
"""

import json
import sys

import atheris

with atheris.instrument_imports(include=["domain", "schemas"]):
    from tests.security.conftest import Mutator
    from tests.security.test_coverage_guided import read_a_body, read_a_node

TARGETS = {"bodies": read_a_body, "nodes": read_a_node}


def mutate(raw, most_bytes, seed):
    """Every other time as JSON: bytes alone rarely stay something that can be read."""
    if seed % 2:
        return atheris.Mutate(raw, most_bytes)
    mutator = Mutator(seed)
    try:
        mutant = mutator.body(mutator.tree(json.loads(raw)))
    except (ValueError, RecursionError):
        mutant = raw
    return mutant if len(mutant) <= most_bytes else atheris.Mutate(raw, most_bytes)


if __name__ == "__main__":
    target = TARGETS[sys.argv.pop(1)]
    atheris.Setup(sys.argv, target, custom_mutator=mutate)
    atheris.Fuzz()
