"""A second implementation of Conclave's pairwise protocol: certificates, prekeys, PQXDH, Double Ratchet, envelopes.

For tests alone: nothing is wiped, nothing runs in constant time, and errors are whatever Python raises. It was written
from the documents of the Rust modules and from these sources; it shares no code with them:

- The PQXDH Key Agreement Protocol, revision 3; The X3DH Key Agreement Protocol, revision 1
- The Double Ratchet Algorithm, revision 3, sections 3 and 5.2
- RFC 7748 (X25519), RFC 8032 (Ed25519), FIPS 203 (ML-KEM), RFC 5869 (HKDF), RFC 2104 (HMAC),
  RFC 8439 (ChaCha20-Poly1305), ISO/IEC 7816-4 (padding)
- RFC 8949 (CBOR), RFC 4648 section 5 (base64url)

Each function returns its result with every intermediate value, by the names of `tests/vectors/pairwise.json`.
"""

import json
from base64 import urlsafe_b64encode
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM1024PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

BUCKETS = [256 << power for power in range(8)] + [60 * 1024]
CIPHERTEXT_BYTES = 1568


# Primitives


def label(text):
    return b"conclave/v1/" + text.encode()


def u32(number):
    return number.to_bytes(4, "big")


def u64(number):
    return number.to_bytes(8, "big")


def hkdf(salt, key, info, length):
    return HKDF(algorithm=SHA256(), length=length, salt=salt, info=info).derive(key)


def hmac(key, message):
    code = HMAC(key, SHA256())
    code.update(message)
    return code.finalize()


def agree(secret, public):
    return X25519PrivateKey.from_private_bytes(secret).exchange(X25519PublicKey.from_public_bytes(public))


def agreement_public(secret):
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def decapsulate(seed, ciphertext):
    return MLKEM1024PrivateKey.from_seed_bytes(seed).decapsulate(ciphertext)


def sign(seed, message):
    return Ed25519PrivateKey.from_private_bytes(seed).sign(message)


def signing_public(seed):
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def key_id(kind, key):
    return sha256(label(f"key-id/{kind}") + key).digest()[:8]


def pad(text):
    bucket = next(bucket for bucket in BUCKETS if len(text) < bucket)
    return (text + b"\x80").ljust(bucket, b"\0")


def unpad(padded):
    text = padded.rstrip(b"\0")
    assert text.endswith(b"\x80"), "no marker"
    return text[:-1]


# Identities and prekeys


def party(given):
    root, signing, agreement = given["root_seed"], given["signing_seed"], given["agreement_secret"]
    account, root_key = given["account_id"], signing_public(root)
    signing_key, agreement_key = signing_public(signing), agreement_public(agreement)
    fields = account + root_key + given["device_id"] + signing_key + agreement_key + u64(given["created_at"])
    certificate_signed = label("identity/device-certificate") + fields
    certificate = fields + sign(root, certificate_signed)
    listed = account + root_key + u64(given["list_version"]) + u32(1) + certificate
    list_signed = label("identity/device-list") + listed
    return {
        "root_key": root_key,
        "root_key_id": key_id("signing", root_key),
        "signing_key": signing_key,
        "signing_key_id": key_id("signing", signing_key),
        "agreement_key": agreement_key,
        "agreement_key_id": key_id("agreement", agreement_key),
        "certificate_signed": certificate_signed,
        "certificate_signature": sign(root, certificate_signed),
        "certificate": certificate,
        "list_signed": list_signed,
        "list_signature": sign(root, list_signed),
        "list": listed + sign(root, list_signed),
        "saved_identity": b"\1" + signing + agreement + certificate,
    }


def prekeys(given, owner):
    address = owner["account_id"] + owner["device_id"]

    def plain(secret):
        key = agreement_public(secret)
        return {"public_key": key, "key_id": key_id("agreement", key)}

    def signed(key, signed_bytes):
        return key | {"signed": signed_bytes, "signature": sign(owner["signing_seed"], signed_bytes)}

    def kem(seed, use):
        key = MLKEM1024PrivateKey.from_seed_bytes(seed).public_key().public_bytes_raw()
        signed_bytes = label("prekey/kem") + address + use + u64(given["created_at"]) + key
        rejected = decapsulate(seed, bytes(CIPHERTEXT_BYTES))
        fields = {"public_key": key, "key_id": key_id("kem", key), "shared_secret_of_zeros": rejected}
        return signed(fields, signed_bytes)

    signed_prekey = plain(given["signed_prekey_secret"])
    signed_bytes = label("prekey/signed") + address + u64(given["created_at"]) + signed_prekey["public_key"]
    return {
        "signed_prekey": signed(signed_prekey, signed_bytes),
        "one_time_prekey": plain(given["one_time_prekey_secret"]),
        "one_time_kem_prekey": kem(given["one_time_kem_seed"], b"\1"),
        "last_resort_kem_prekey": kem(given["last_resort_kem_seed"], b"\2"),
    }


# PQXDH


def agreed(agreements, shared, certificates, kem_key, opening):
    """What both sides derive from the agreements, the KEM's secret and the opening."""
    joined = b"\xff" * 32 + b"".join(agreements)
    one_time_id = opening[41:49] if opening[40] else b""
    kem_id = opening[-CIPHERTEXT_BYTES - 8 : -CIPHERTEXT_BYTES]
    named = {f"dh{number}": value for number, value in enumerate(agreements, 1)}
    kem_key_hash = sha256(kem_key).digest()
    return named | {
        "kem_shared_secret": shared,
        "secret": hkdf(bytes(32), joined + shared, label("pqxdh/secret"), 32),
        "x3dh_test_mode_secret": hkdf(bytes(32), joined, label("x3dh/secret"), 32),
        "opening": opening,
        "session_id": sha256(label("session/id") + opening[:40] + kem_id + one_time_id).digest()[:16],
        "kem_key_hash": kem_key_hash,
        "session_binding": sha256(label("session/binding") + certificates + kem_key_hash + opening).digest(),
    }


class Responder:
    """The prekeys of the responder, and its side of an agreement."""

    def __init__(self, parties, found, secrets, published):
        self.own, self.found, self.secrets, self.published = parties["responder"], found, secrets, published

    def kem(self, kem_id):
        """Seed and public key of the KEM prekey with this id."""
        kinds = {self.published[f"{kind}_kem_prekey"]["key_id"]: kind for kind in ("one_time", "last_resort")}
        kind = kinds[kem_id]
        return self.secrets[f"{kind}_kem_seed"], self.published[f"{kind}_kem_prekey"]["public_key"]

    def respond(self, opening):
        ephemeral, signed_id, one_time_id = opening[:32], opening[32:40], opening[41:49] if opening[40] else None
        seed, kem_key = self.kem(opening[-CIPHERTEXT_BYTES - 8 : -CIPHERTEXT_BYTES])
        assert signed_id == self.published["signed_prekey"]["key_id"]
        signed_secret = self.secrets["signed_prekey_secret"]
        agreements = [
            agree(signed_secret, self.found["initiator"]["agreement_key"]),
            agree(self.own["agreement_secret"], ephemeral),
            agree(signed_secret, ephemeral),
        ]
        if one_time_id is not None:
            assert one_time_id == self.published["one_time_prekey"]["key_id"]
            agreements.append(agree(self.secrets["one_time_prekey_secret"], ephemeral))
        shared = decapsulate(seed, opening[-CIPHERTEXT_BYTES:])
        certificates = self.found["initiator"]["certificate"] + self.found["responder"]["certificate"]
        return agreed(agreements, shared, certificates, kem_key, opening)


def initiate(given, parties, found, responder):
    """The initiator's side; `shared` comes from decapsulation, for want of the encapsulation's randomness."""
    is_one_time = {"used": True, "exhausted": False}[given["one_time_prekeys"]]
    ephemeral, published = given["ephemeral_secret"], responder.published
    signed_key = published["signed_prekey"]["public_key"]
    kem_prekey = published["one_time_kem_prekey" if is_one_time else "last_resort_kem_prekey"]
    agreements = [
        agree(parties["initiator"]["agreement_secret"], signed_key),
        agree(ephemeral, found["responder"]["agreement_key"]),
        agree(ephemeral, signed_key),
    ]
    one_time = b"\0"
    if is_one_time:
        agreements.append(agree(ephemeral, published["one_time_prekey"]["public_key"]))
        one_time = b"\1" + published["one_time_prekey"]["key_id"]
    seed, kem_key = responder.kem(kem_prekey["key_id"])
    shared = decapsulate(seed, given["kem_ciphertext"])
    ids = published["signed_prekey"]["key_id"] + one_time + kem_prekey["key_id"]
    opening = agreement_public(ephemeral) + ids + given["kem_ciphertext"]
    certificates = found["initiator"]["certificate"] + found["responder"]["certificate"]
    result = agreed(agreements, shared, certificates, kem_key, opening)
    session = Session(result, opening, signed_key)
    return {"ephemeral_key": agreement_public(ephemeral)} | result | {"initiator_saved": session.save()}


# The Double Ratchet


def root_step(root, secret, theirs):
    shared = agree(secret, theirs)
    derived = hkdf(root, shared, label("ratchet/root"), 64)
    names = ("root_key_before", "our_public", "their_public", "shared", "root_key", "chain_key")
    return dict(zip(names, (root, agreement_public(secret), theirs, shared, derived[:32], derived[32:])))


def chain_step(chain):
    return hmac(chain, label("ratchet/message")), hmac(chain, label("ratchet/chain"))


def walk(chain, start, end):
    """The messages that are passed over, and the chain key behind them."""
    passed = []
    for number in range(start, end):
        key, following = chain_step(chain)
        passed.append({"number": number, "chain_key": chain, "message_key": key})
        chain = following
    return passed, chain


def message_step(chain):
    key, following = chain_step(chain)
    return {"chain_key_before": chain, "message_key": key, "chain_key_after": following}


class Session:
    """One side of a session: an agreement, and the ratchet that runs from it."""

    def __init__(self, agreement, opening, theirs):
        self.id, self.binding = agreement["session_id"], agreement["session_binding"]
        self.opening, self.root, self.theirs = opening, agreement["secret"], theirs
        self.ours, self.previous, self.chains = None, 0, []

    def answer(self, first_key, signed_secret):
        """The responder's first step: the chain that the first message is on."""
        step = root_step(self.root, signed_secret, first_key)
        self.root, self.theirs = step["root_key"], first_key
        self.chains = [{"key": first_key, "chain": step["chain_key"], "next": 0, "kept": []}]
        return {"root_step": step, "saved": self.save()}

    def aead(self, key, header, context):
        derived = hkdf(bytes(32), key, label("ratchet/seal"), 44)
        data = label("seal/pairwise") + b"\1" + self.binding + context + header
        return {"aead_key": derived[:32], "nonce": derived[32:], "header": header, "associated_data": data}

    def seal(self, text, context, secret):
        result = {}
        if self.ours is None:
            result["root_step"] = step = root_step(self.root, secret, self.theirs)
            self.root = step["root_key"]
            self.ours = {"secret": secret, "public": step["our_public"], "chain": step["chain_key"], "next": 0}
        else:
            assert secret is None, "a ratchet key without need"
        ours = self.ours
        result |= message_step(ours["chain"])
        header = ours["public"] + u32(self.previous) + u32(ours["next"])
        ours["chain"], ours["next"] = result["chain_key_after"], ours["next"] + 1
        result |= self.aead(result["message_key"], header, context) | {"padded": pad(text)}
        cipher = ChaCha20Poly1305(result["aead_key"])
        result["ciphertext"] = cipher.encrypt(result["nonce"], result["padded"], result["associated_data"])
        kind = b"\1" if self.opening is None else b"\2" + self.opening
        return result | {"payload": kind + header + result["ciphertext"], "saved": self.save()}

    def open(self, payload, context, now):
        _, header, ciphertext = parse(payload)
        key, previous, number = header[:32], int.from_bytes(header[32:36], "big"), int.from_bytes(header[36:], "big")
        chain = next((chain for chain in self.chains if chain["key"] == key), None)
        if chain and number < chain["next"]:
            kept = next(kept for kept in chain["kept"] if kept[0] == number)
            chain["kept"].remove(kept)
            message_key = kept[2]
            result = {"kept_message_key": message_key}
        else:
            result = {}
            if chain is None:
                chain = self.new_chain(result, key, previous, now)
            result["skipped"], chain_key = walk(chain["chain"], chain["next"], number)
            keep(chain, result["skipped"], now)
            result |= message_step(chain_key)
            message_key, chain["chain"], chain["next"] = result["message_key"], result["chain_key_after"], number + 1
        result |= self.aead(message_key, header, context)
        cipher = ChaCha20Poly1305(result["aead_key"])
        result["padded"] = cipher.decrypt(result["nonce"], ciphertext, result["associated_data"])
        self.opening = None
        return result | {"plaintext": unpad(result["padded"]), "saved": self.save()}

    def new_chain(self, result, key, previous, now):
        result["closing"] = []
        if self.chains:
            newest = self.chains[-1]
            result["closing"], _ = walk(newest["chain"], newest["next"], previous)
            keep(newest, result["closing"], now)
            newest["chain"], newest["next"] = None, max(newest["next"], previous)
        result["root_step"] = step = root_step(self.root, self.ours["secret"], key)
        self.root, self.theirs, self.previous, self.ours = step["root_key"], key, self.ours["next"], None
        chain = {"key": key, "chain": step["chain_key"], "next": 0, "kept": []}
        self.chains = (self.chains + [chain])[-5:]
        return chain

    def save(self):
        ours = self.ours
        turn = b"\1" + self.theirs
        if ours is not None:
            turn = b"\2" + ours["secret"] + ours["public"] + ours["chain"] + u32(ours["next"])
        chains = b"".join(
            chain["key"]
            + (b"\0" if chain["chain"] is None else b"\1" + chain["chain"])
            + u32(chain["next"])
            + u32(len(chain["kept"]))
            + b"".join(u32(number) + u64(since) + key for number, since, key in chain["kept"])
            for chain in self.chains
        )
        opening = b"\0" if self.opening is None else b"\1" + self.opening
        ratchet = self.root + turn + u32(self.previous) + u32(len(self.chains)) + chains
        return b"\1" + self.id + self.binding + opening + ratchet


def keep(chain, passed, now):
    chain["kept"] += [(step["number"], now, step["message_key"]) for step in passed]


def parse(payload):
    """Opening (or none), header, ciphertext."""
    kind, rest, opening = payload[0], payload[1:], None
    if kind == 2:
        length = 32 + 8 + (9 if rest[40] else 1) + 8 + CIPHERTEXT_BYTES
        opening, rest = rest[:length], rest[length:]
    else:
        assert kind == 1
    return opening, rest[:40], rest[40:]


def policy_bytes(policy):
    custody = {"client": 1, "node": 2}[policy["custody"]]
    protection = {"ratchet": 1, "mls": 2}[policy["protection"]]
    return bytes([custody, protection, {"on": 1, "off": 2}[policy["signatures"]]])


def destination_bytes(destination):
    return {"room": b"\1", "mailbox": b"\2"}[destination["kind"]] + destination["id"]


def converse(given, agreement, responder):
    signed_key = responder.published["signed_prekey"]["public_key"]
    sessions = {"initiator": Session(agreement, agreement["opening"], signed_key)}
    sealed, steps = {}, []
    for step in (step["inputs"] for step in given["steps"]):
        side, message = step["side"], step["message"]
        if step["action"] == "seal":
            context = policy_bytes(step["policy"]) + destination_bytes(step["destination"])
            result = sessions[side].seal(step["plaintext"], context, step.get("ratchet_secret"))
            sealed[message] = result["payload"], context
        elif step["action"] == "respond":
            opening, header, _ = parse(sealed[message][0])
            sessions[side] = Session(responder.respond(opening), None, None)
            result = sessions[side].answer(header[:32], responder.secrets["signed_prekey_secret"])
        elif step["action"] == "open":
            result = sessions[side].open(*sealed[message], given["now"])
        else:
            raise ValueError(step["action"])
        steps.append(result)
    return steps


# Envelopes


def envelope_form(given, parties, signing_key):
    """The fields by name, in their order on the wire."""
    form = {"v": 1, "type": "e2ee_encrypted_message", "id": given["id"]}
    form[{"room": "room_id", "mailbox": "mailbox"}[given["destination"]["kind"]]] = given["destination"]["id"]
    sender = parties[given["sender"]]
    form |= {"sender_id": sender["account_id"], "sender_device": sender["device_id"]}
    if "recipient" in given:
        recipient = parties[given["recipient"]]
        form |= {"recipient_id": recipient["account_id"], "recipient_device": recipient["device_id"]}
    form["key_id"] = key_id("signing", signing_key)
    if "epoch" in given:
        form["epoch"] = given["epoch"]
    return form | {"nonce": given["nonce"], "timestamp": given["timestamp"], "payload": given["payload"]}


def envelope(given, parties):
    seed = parties[given["sender"]]["signing_seed"]
    form = envelope_form(given, parties, signing_public(seed))
    signed = label("envelope/signature") + policy_bytes(given["policy"]) + b"\1" + form["id"]
    signed += destination_bytes(given["destination"]) + form["sender_id"] + form["sender_device"]
    signed += b"\1" + form["recipient_id"] + form["recipient_device"] if "recipient_id" in form else b"\0"
    signed += form["key_id"] + (b"\1" + u64(form["epoch"]) if "epoch" in form else b"\0")
    signed += form["nonce"] + u64(form["timestamp"]) + u32(len(form["payload"])) + form["payload"]
    result = {"signed": signed}
    if given["policy"]["signatures"] == "on":
        result["signature"] = form["signature"] = sign(seed, signed)
    texts = {name: base64(value) if isinstance(value, bytes) else value for name, value in form.items()}
    return result | {"json": json.dumps(texts, separators=(",", ":")), "cbor": cbor_encode(form)}


def base64(data):
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def cbor_head(major, number):
    for code, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if number < 24:
            return bytes([major << 5 | number])
        if number < 256**size:
            return bytes([major << 5 | code]) + number.to_bytes(size, "big")
    raise ValueError(number)


def cbor_encode(value):
    if isinstance(value, int):
        return cbor_head(0, value)
    if isinstance(value, bytes):
        return cbor_head(2, len(value)) + value
    if isinstance(value, str):
        return cbor_head(3, len(value)) + value.encode()
    return cbor_head(5, len(value)) + b"".join(cbor_encode(part) for pair in value.items() for part in pair)


def cbor_decode(data, at=0):
    """One item, and where it ends. The four major types that an envelope has."""
    major, low, at = data[at] >> 5, data[at] & 31, at + 1
    size = {24: 1, 25: 2, 26: 4, 27: 8}[low] if low >= 24 else 0
    number, at = int.from_bytes(data[at : at + size], "big") if size else low, at + size
    if major == 0:
        return number, at
    if major in (2, 3):
        part = data[at : at + number]
        assert len(part) == number, "truncated"
        return part if major == 2 else part.decode(), at + number
    assert major == 5, "another type"
    entries = {}
    for _ in range(number):
        name, at = cbor_decode(data, at)
        entries[name], at = cbor_decode(data, at)
    return entries, at
