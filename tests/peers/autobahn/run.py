"""Runs the fuzzing client of the ported Autobahn suite: `run.py SPEC FOLDER`.

SPEC is the suite's own JSON file; FOLDER holds the package that port.py wrote. The suite is of Python 2, where text and
bytes were one type, so what passes between it and the library is turned from one into the other here, as latin-1: a byte
for a character.
"""

import binascii
import json
import sys
import types

import txaio

txaio.use_twisted()

# Before the suite: they must see the real `binascii`.
import autobahn.twisted.websocket
import autobahn.websocket.protocol  # noqa: F401
import autobahn.websocket.utf8validator as utf8validator
import jinja2  # noqa: F401
import klein  # noqa: F401
from twisted.internet import reactor


def to_bytes(value):
    return value.encode("latin-1") if isinstance(value, str) else value


def to_text(value):
    return value.decode("latin-1") if isinstance(value, (bytes, bytearray)) else value


def hexadecimal(value):
    return binascii.b2a_hex(to_bytes(value)).decode()


class Utf8Validator(utf8validator.Utf8Validator):
    def validate(self, text):
        return super().validate(to_bytes(text))


def load_suite(folder):
    """Loads the suite with its own view of `binascii` and of the validator."""
    real_binascii, real_validator = sys.modules["binascii"], utf8validator.Utf8Validator
    lenient = types.ModuleType("binascii")
    lenient.__dict__.update(binascii.__dict__, b2a_hex=hexadecimal)
    sys.modules["binascii"], utf8validator.Utf8Validator = lenient, Utf8Validator
    sys.path.insert(0, folder)
    try:
        import autobahntestsuite.fuzzing
    finally:
        sys.modules["binascii"], utf8validator.Utf8Validator = real_binascii, real_validator
    return autobahntestsuite.fuzzing


def adapt_protocol(protocol):
    """What goes to the library becomes bytes, what comes from it becomes text."""

    def sends(name):
        def send(self, *arguments, **named):
            for key in ("payload", "reasonUtf8"):
                if key in named:
                    named[key] = to_bytes(named[key])
            return getattr(super(protocol, self), name)(*map(to_bytes, arguments), **named)

        setattr(protocol, name, send)

    for name in (
        "sendMessage",
        "sendCloseFrame",
        "sendMessageFrameData",
        "sendMessageFragment",
        "sendMessageFrame",
        "sendPing",
        "sendPong",
    ):
        sends(name)

    def send_frame(self, opcode, payload=b"", payload_len=None, **named):
        # The library repeats a payload up to a length by a division that gives a fraction in Python 3.
        payload = to_bytes(payload)
        if payload_len is not None and payload:
            payload = (payload * (payload_len // len(payload) + 1))[:payload_len]
        return super(protocol, self).sendFrame(opcode, payload, **named)

    def counted(statistics):
        def log(self, header, *_):
            if self.createStats:
                frames = getattr(self, statistics)
                opcode = header.opcode
                frames[opcode] = frames.get(opcode, 0) + 1

        return log

    on_message, on_pong = protocol.onMessage, protocol.onPong
    protocol.sendFrame = send_frame
    protocol.onMessage = lambda self, message, is_binary: on_message(self, to_text(message), is_binary)
    protocol.onPong = lambda self, payload: on_pong(self, to_text(payload))
    protocol.logRxFrame = counted("rxFrameStats")
    protocol.logTxFrame = counted("txFrameStats")


def adapt_reports(fuzzing):
    """Reports in JSON alone, with bytes as text."""
    fuzzing.binLogData = lambda data, maxlen=64: hexadecimal(data[:maxlen])
    fuzzing.asciiLogData = lambda data, maxlen=64, replace=False: to_text(data)[:maxlen]
    fuzzing.FuzzingFactory.createMasterReportHTML = lambda *_: None
    fuzzing.FuzzingFactory.createAgentCaseReportHTML = lambda *_: None
    fuzzing.json = types.SimpleNamespace(
        loads=json.loads, dumps=lambda value, **_: json.dumps(value, default=to_text)
    )


def main():
    spec_path, folder = sys.argv[1:]
    fuzzing = load_suite(folder)
    adapt_protocol(fuzzing.FuzzingProtocol)
    adapt_reports(fuzzing)
    with open(spec_path, encoding="utf-8") as spec:
        factory = fuzzing.FuzzingClientFactory(json.load(spec))
    # The factory connects for its first case by itself.
    del factory
    reactor.run()


if __name__ == "__main__":
    main()
