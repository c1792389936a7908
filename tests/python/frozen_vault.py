#!/usr/bin/env python3
"""Makes the sealed forms of `tests/vault/frozen.json` anew and holds the file against them.

They must open for as long as their version is known (`tests/vault/frozen.rs`). HKDF, the recovery key's text, padding
and safety numbers are written here from their definitions, with `hashlib` and `hmac` alone, so that the file checks the
Rust code and does not repeat it. The output is the same each time.

Usage: frozen_vault.py [--write]
"""

import hashlib
import hmac
import itertools
import json
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

FILE = Path(__file__).parent.parent / "vault" / "frozen.json"

VAULT_COLLECTION = b"conclave/v1/vault/collection"
VAULT_ITEM = b"conclave/v1/vault/item"
VAULT_HEAD = b"conclave/v1/vault/head"
VAULT_ENTRIES = b"conclave/v1/vault/entry-codes"
VAULT_ENTRY = b"conclave/v1/vault/one-entry"
VAULT_DIGEST = b"conclave/v1/vault/digest"
KEYSTORE = b"conclave/v1/keystore/passphrase"
BACKUP = b"conclave/v1/backup/recovery"
RECOVERY_CHECKSUM = b"conclave/v1/backup/checksum"
SAFETY_NUMBER = b"conclave/v1/identity/safety-number"


def u32(n):
    return n.to_bytes(4, "big")


def u64(n):
    return n.to_bytes(8, "big")


def variable(data):
    return u32(len(data)) + data


def filled(start, length):
    return bytes((start + i) % 256 for i in range(length))


def hkdf(salt, secret, info, length):
    pseudorandom_key = hmac.digest(salt or bytes(32), secret, "sha256")
    okm, block = b"", b""
    for counter in itertools.count(1):
        if len(okm) >= length:
            return okm[:length]
        block = hmac.digest(pseudorandom_key, block + info + bytes([counter]), "sha256")
        okm += block


def one_use(salt, secret, info):
    okm = hkdf(salt, secret, info, 76)
    return okm[:32], okm[32:64], okm[64:]


def seal(secret, label, context, plaintext, salt):
    commitment, key, nonce = one_use(salt, secret, label + context)
    return b"\x01" + salt + commitment + ChaCha20Poly1305(key).encrypt(nonce, plaintext, label + context)


def pad(plaintext):
    bucket = 256
    while bucket < len(plaintext) + 1:
        bucket *= 2
    return (plaintext + b"\x80").ljust(bucket, b"\0")


# --- One ciphertext and tag that ChaCha20-Poly1305 opens under two keys. -------------------------

P = 2**130 - 5


def poly1305_key(key, nonce):
    stream = Cipher(algorithms.ChaCha20(key, bytes(4) + nonce), None).encryptor().update(bytes(32))
    r = int.from_bytes(stream[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    return r, int.from_bytes(stream[16:], "little")


def two_key_body(keys, associated_data):
    """Solves for two blocks of ciphertext: the polynomials of both keys then give the same tag."""
    padded = associated_data + bytes(-len(associated_data) % 16)
    known = [int.from_bytes(padded[i : i + 16], "little") + 2**128 for i in range(0, len(padded), 16)]
    lengths = int.from_bytes(len(associated_data).to_bytes(8, "little") + (32).to_bytes(8, "little"), "little") + 2**128
    (r1, s1), (r2, s2) = (poly1305_key(key, nonce) for key, nonce in keys)

    def constant(r):
        blocks = known + [2**128, 2**128, lengths]
        return sum(block * pow(r, len(blocks) - i, P) for i, block in enumerate(blocks)) % P

    k1, k2 = constant(r1), constant(r2)
    (a1, b1), (a2, b2) = (pow(r1, 3, P), pow(r1, 2, P)), (pow(r2, 3, P), pow(r2, 2, P))
    inverse = pow(a1 * b2 - a2 * b1, -1, P)
    for counter in itertools.count():
        tag = int.from_bytes(hashlib.sha256(u32(counter)).digest()[:16], "little")
        h1, h2 = ((tag - s1) % 2**128 - k1) % P, ((tag - s2) % 2**128 - k2) % P
        c1, c2 = (h1 * b2 - h2 * b1) * inverse % P, (a1 * h2 - a2 * h1) * inverse % P
        if c1 < 2**128 and c2 < 2**128:
            return c1.to_bytes(16, "little") + c2.to_bytes(16, "little") + tag.to_bytes(16, "little")


def two_keys():
    secrets, salt, context = (filled(1, 32), filled(101, 32)), filled(7, 32), b"a place"
    info = VAULT_ITEM + context
    derived = [one_use(salt, secret, info) for secret in secrets]
    keys = [(key, nonce) for _, key, nonce in derived]
    body = two_key_body(keys, info)
    plaintexts = [ChaCha20Poly1305(key).decrypt(nonce, body, info) for key, nonce in keys]
    assert plaintexts[0] != plaintexts[1]
    return {
        "context": context,
        "salt": salt,
        "body": body,
        "sides": [
            {"secret": secret, "commitment": commitment, "key": key, "nonce": nonce, "plaintext": plaintext}
            for secret, (commitment, key, nonce), plaintext in zip(secrets, derived, plaintexts)
        ],
    }


# --- Sealed forms. ------------------------------------------------------------------------------

ACCOUNT_ID = filled(0xA0, 16)
ROOT_SEED, VAULT_KEY = filled(0x10, 32), filled(0x40, 32)
ACCOUNT_SECRETS = b"\x01" + ROOT_SEED + VAULT_KEY


def vault():
    collection, item_type, item_id, version = b"memories", b"memory", filled(0xC0, 16), 7
    content = "Ada takes her tea without milk \u2615".encode()
    place = ACCOUNT_ID + variable(collection)
    collection_key = hkdf(None, VAULT_KEY, VAULT_COLLECTION + place, 32)
    context = place + item_id + variable(item_type) + u64(version)
    return {
        "account_secrets": ACCOUNT_SECRETS,
        "account_id": ACCOUNT_ID,
        "collection": collection.decode(),
        "item_id": item_id,
        "item_type": item_type.decode(),
        "version": version,
        "content": content,
        "sealed": seal(collection_key, VAULT_ITEM, context, pad(content), filled(0x55, 32)),
    }


def collection():
    """An item of 400 sealed bytes, and what remains of one that was deleted; two devices have written."""
    name, item_type = b"memories", b"memory"
    place = ACCOUNT_ID + variable(name)
    key = hkdf(None, VAULT_KEY, VAULT_COLLECTION + place, 32)
    codes_key = hkdf(None, key, VAULT_ENTRIES, 32)
    sealed = filled(0x01, 400)
    digest = hashlib.sha256(VAULT_DIGEST + sealed).digest()
    entries = [(filled(0xC0, 16), 2, 3, b"\x01" + u32(len(sealed)) + digest), (filled(0xD0, 16), 2, 4, b"\x00")]
    codes = (
        hmac.digest(codes_key, VAULT_ENTRY + item_id + variable(item_type) + u64(version) + u64(revision) + rest, "sha256")
        for item_id, version, revision, rest in entries
    )
    total = bytes(a ^ b for a, b in zip(*codes))
    writers = [(filled(0x03, 16), 4), (filled(0x05, 16), 3)]
    head = b"\x01" + u64(4) + total + u32(2) + b"".join(device + u64(revision) for device, revision in writers)
    return {
        "account_secrets": ACCOUNT_SECRETS,
        "account_id": ACCOUNT_ID,
        "collection": name.decode(),
        "item_type": item_type.decode(),
        "entries": [
            {"item_id": item_id, "version": version, "revision": revision} for item_id, version, revision, _ in entries
        ],
        "sealed_item": sealed,
        "saved_head": head,
        "sealed_head": seal(key, VAULT_HEAD, place + u64(4), head, filled(0x66, 32)),
    }


def keystore():
    passphrase, salt, content = "correct horse \u00e9", filled(0x33, 16), b"what a device keeps"
    memory_kib, iterations, lanes = 64 * 1024, 3, 1
    stretch = Argon2id(salt=salt, length=32, iterations=iterations, lanes=lanes, memory_cost=memory_kib)
    header = b"\x01" + u32(memory_kib) + u32(iterations) + u32(lanes) + salt
    info = KEYSTORE + header
    commitment, key, nonce = one_use(salt, stretch.derive(passphrase.encode()), info)
    return {
        "passphrase": passphrase,
        "content": content,
        "keystore": header + commitment + ChaCha20Poly1305(key).encrypt(nonce, content, info),
    }


def written(key):
    alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    number = int.from_bytes(key + hashlib.sha256(RECOVERY_CHECKSUM + key).digest()[:3], "big")
    symbols = "".join(alphabet[number >> (5 * i) & 31] for i in reversed(range(56)))
    return "-".join(symbols[i : i + 4] for i in range(0, 56, 4))


def backup():
    key, generation = filled(0x77, 32), 3
    sealed = seal(key, BACKUP, ACCOUNT_ID + u64(generation), ACCOUNT_SECRETS, filled(0x99, 32))
    return {
        "recovery_key": written(key),
        "account_id": ACCOUNT_ID,
        "generation": generation,
        "account_secrets": ACCOUNT_SECRETS,
        "backup": b"\x01" + u64(generation) + sealed,
    }


def safety_number():
    def fingerprint(account_id, root_key):
        value = SAFETY_NUMBER + account_id + root_key
        for _ in range(5200):
            value = hashlib.sha512(value + root_key).digest()
        return value[:32]

    sides = []
    for account_id, seed in ((ACCOUNT_ID, ROOT_SEED), (filled(0x0B, 16), filled(0x22, 32))):
        root_key = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        sides.append({"account_id": account_id, "root_key": root_key, "fingerprint": fingerprint(account_id, root_key)})
    digits = b"".join(sorted(side["fingerprint"] for side in sides)[i][:30] for i in range(2))
    groups = [f"{int.from_bytes(digits[i:i + 5], 'big') % 100_000:05}" for i in range(0, 60, 5)]
    return {"sides": sides, "number": " ".join(groups)}


def device_keys():
    signing_seed, agreement_secret = filled(0x61, 32), filled(0x91, 32)
    return {
        "saved": b"\x01" + signing_seed + agreement_secret,
        "signing_key": Ed25519PrivateKey.from_private_bytes(signing_seed).public_key().public_bytes_raw(),
        "agreement_key": X25519PrivateKey.from_private_bytes(agreement_secret).public_key().public_bytes_raw(),
    }


def hex_bytes(value):
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {name: hex_bytes(inner) for name, inner in value.items()}
    return [hex_bytes(inner) for inner in value] if isinstance(value, list) else value


def made():
    parts = [backup, collection, device_keys, keystore, safety_number, two_keys, vault]
    return json.dumps({part.__name__: hex_bytes(part()) for part in parts}, indent=2) + "\n"


def main():
    if sys.argv[1:] == ["--write"]:
        FILE.write_text(made())
    elif sys.argv[1:]:
        sys.exit(__doc__)
    elif FILE.read_text() != made():
        sys.exit(f"{FILE.name} is not what this program makes")
    else:
        print(f"{FILE.name}: every sealed form is made again, byte for byte")


if __name__ == "__main__":
    main()
