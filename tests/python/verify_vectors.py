#!/usr/bin/env python3
"""Holds the frozen vectors of `tests/vectors/pairwise.json` against the second implementation, `pairwise.py`.

Every part of the file has `inputs` (secret keys, texts, random choices) and `expected`. This program takes the inputs
alone, computes the rest, and compares. Then it reads what the file holds as a recipient would: it verifies signatures
and decodes envelopes. Last, it shows that it can fail (`--self-test` runs that alone): each value in the file is
altered in turn, and each alteration must be noticed.

Usage: verify_vectors.py [--self-test] [FILE]
"""

import copy
import json
import sys
from base64 import urlsafe_b64decode
from pathlib import Path

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from pairwise import Responder, cbor_decode, converse, envelope, envelope_form, initiate, label, party, prekeys

FILE = Path(__file__).parent.parent / "vectors" / "pairwise.json"


def from_file(value):
    """The inputs as they are used: texts of hexadecimal digits become bytes."""
    if isinstance(value, dict):
        return {name: from_file(part) for name, part in value.items()}
    if isinstance(value, list):
        return [from_file(part) for part in value]
    try:
        return bytes.fromhex(value) if isinstance(value, str) and len(value) % 2 == 0 else value
    except ValueError:
        return value


def to_file(value):
    if isinstance(value, dict):
        return {name: to_file(part) for name, part in value.items()}
    if isinstance(value, list):
        return [to_file(part) for part in value]
    return value.hex() if isinstance(value, bytes) else value


def compute(vectors):
    """Everything that the file expects, from its inputs: `(section, path of its values, computed)`."""
    given = from_file(strip_expected(vectors))
    parties = {name: case["inputs"] for name, case in given["parties"].items()}
    found = {name: party(inputs) for name, inputs in parties.items()}
    for name, result in found.items():
        yield f"identity of the {name}", ("parties", name), result
    published = prekeys(given["prekeys"]["inputs"], parties["responder"])
    yield "prekeys", ("prekeys",), published
    responder = Responder(parties, found, given["prekeys"]["inputs"], published)
    agreements = {}
    for at, case in enumerate(given["agreements"]):
        name = case["inputs"]["name"]
        agreements[name] = initiate(case["inputs"], parties, found, responder)
        yield f"agreement {name}", ("agreements", at), agreements[name]
    for at, talk in enumerate(given["conversations"]):
        for number, result in enumerate(converse(talk, agreements[talk["agreement"]], responder)):
            yield f"conversation {talk['agreement']}", ("conversations", at, "steps", number), result
    for at, case in enumerate(given["envelopes"]):
        yield "envelopes", ("envelopes", at), envelope(case["inputs"], parties)


def strip_expected(value):
    """The file without its answers, so that nothing can be copied from them."""
    if isinstance(value, dict):
        return {name: strip_expected(part) for name, part in value.items() if name != "expected"}
    return [strip_expected(part) for part in value] if isinstance(value, list) else value


def at_path(value, path):
    for step in path:
        value = value[step]
    return value


def leaves(value, path=()):
    if isinstance(value, (dict, list)):
        for name, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(part, path + (name,))
    else:
        yield path, value


def compare(vectors, computed):
    """`(section, path, whether it agrees)` of each value that is expected or computed."""
    for section, path, result in computed:
        path += ("expected",)
        expected, result = dict(leaves(at_path(vectors, path))), dict(leaves(to_file(result)))
        for leaf in expected | result:
            yield section, path + leaf, leaf in expected and leaf in result and expected[leaf] == result[leaf]


def read(vectors):
    """What a recipient does with the file's own values: `(section, path, whether it holds)`."""
    found = from_file({name: case["expected"] for name, case in vectors["parties"].items()})
    signed = []
    for name, case in found.items():
        for part in ("certificate", "list"):
            bodies = case[f"{part}_signed"], case[f"{part}_signature"]
            signed.append((("parties", name, part), case["root_key"], *bodies))
            whole = case[part] == bodies[0][len(label(f"identity/device-{part}")) :] + bodies[1]
            yield "reading", ("parties", name, part), whole
    signing_key = found["responder"]["signing_key"]
    cases = [("prekeys", name, case) for name, case in vectors["prekeys"]["expected"].items()]
    cases += [("envelopes", at, case["expected"]) for at, case in enumerate(vectors["envelopes"])]
    for part, name, case in cases:
        if "signature" in case:
            signed.append(((part, name), signing_key, *map(bytes.fromhex, (case["signed"], case["signature"]))))
    for path, key, message, signature in signed:
        try:
            Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
            yield "reading", path + ("signature",), True
        except InvalidSignature:
            yield "reading", path + ("signature",), False
    parties = from_file({name: case["inputs"] for name, case in vectors["parties"].items()})
    for at, case in enumerate(vectors["envelopes"]):
        form = envelope_form(from_file(case["inputs"]), parties, signing_key)
        if "signature" in case["expected"]:
            form["signature"] = bytes.fromhex(case["expected"]["signature"])
        data = bytes.fromhex(case["expected"]["cbor"])
        yield "reading", ("envelopes", at, "cbor"), cbor_decode(data) == (form, len(data))
        texts = json.loads(case["expected"]["json"])
        binary = [name for name, value in form.items() if isinstance(value, bytes)]
        decoded = texts | {name: urlsafe_b64decode(texts[name] + "=" * (-len(texts[name]) % 4)) for name in binary}
        yield "reading", ("envelopes", at, "json"), decoded == form and list(decoded) == list(form)


# That it can fail


def altered(vectors, path):
    """The file with one value changed: a number plus one, the middle byte of bytes, the middle letter of a text."""
    vectors = copy.deepcopy(vectors)
    parent, name = at_path(vectors, path[:-1]), path[-1]
    value = parent[name]
    if isinstance(value, int):
        parent[name] = value + 1
    elif isinstance(from_file(value), bytes):
        data = bytearray.fromhex(value or "01")
        data[len(data) // 2] ^= 1
        parent[name] = data.hex()
    else:
        middle = len(value) // 2
        parent[name] = value[:middle] + ("A" if value[middle : middle + 1] != "A" else "B") + value[middle + 1 :]
    return vectors


def notices(check):
    """Whether a check fails, or finds that it cannot be made at all."""
    try:
        return not all(holds for _, _, holds in check())
    except (AssertionError, InvalidSignature, InvalidTag, KeyError, ValueError, StopIteration):
        return True


def self_test(vectors):
    """Each expected value, altered, must differ; each input, altered, must lead to something else."""
    computed = list(compute(vectors))
    for path, _ in leaves(vectors):
        changed = altered(vectors, path)
        if "expected" in path:
            section, noticed = "self-test: expected values", notices(lambda: compare(changed, computed))
            if path[-1] in ("json", "cbor") or path[-1].endswith("signature"):
                noticed = noticed and notices(lambda: read(changed))
        elif path[-1] == "message":
            continue  # A name within the file; one of a message that is never opened leads to nothing.
        else:
            section, noticed = "self-test: inputs", notices(lambda: compare(changed, compute(changed)))
        yield section, path, noticed


def main(arguments):
    only_self_test = "--self-test" in arguments
    files = [argument for argument in arguments if argument != "--self-test"]
    vectors = json.loads(Path(files[0] if files else FILE).read_text(encoding="utf-8"))
    results = [] if only_self_test else [*compare(vectors, compute(vectors)), *read(vectors)]
    results += self_test(vectors)
    for section in dict.fromkeys(section for section, _, _ in results):
        outcomes = [(path, holds) for name, path, holds in results if name == section]
        wrong = [".".join(map(str, path)) for path, holds in outcomes if not holds]
        print(f"{section}: {len(outcomes) - len(wrong)} of {len(outcomes)}")
        print("".join(f"  WRONG {path}\n" for path in wrong), end="")
    failed = sum(not holds for _, _, holds in results)
    print(f"{len(results) - failed} passed, {failed} failed")
    return 1 if failed or not results else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
