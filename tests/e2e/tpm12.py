"""TPM 1.2 commands, as far as these tests need them (TPM Main Part 3).

Secrets are TSS_WELL_KNOWN_SECRET, twenty zeros, as tpm-tools' -y and -z.
"""

import hashlib
import hmac
import os
import struct

SUCCESS = 0
BAD_PARAMETER = 0x03
BAD_PARAM_SIZE = 0x19
BADTAG = 0x1E
NOTLOCAL = 0x33
BAD_LOCALITY = 0x3D

WELL_KNOWN = bytes(20)
KH_SRK = 0x40000000

# TPM_NV_PER_PPWRITE (TPM Main Part 2, 19.2).
NV_PPWRITE = 1


def command(ordinal, parameters=b"", tag=0x00C1):
    return struct.pack(">HII", tag, 10 + len(parameters), ordinal) + parameters


def result(response):
    """Returns the result code."""
    return struct.unpack_from(">I", response, 6)[0]


STARTUP_CLEAR = command(0x99, b"\0\1")
PHYSICAL_ENABLE = command(0x6F)
ACTIVATE = command(0x72, b"\0")
SELF_TEST_FULL = command(0x50)


def get_random(size=16):
    return command(0x46, struct.pack(">I", size))


def extend(pcr, digest):
    return command(0x14, struct.pack(">I", pcr) + digest)


def pcr_in(response):
    """Returns the digest in a response to Extend or PCRRead."""
    return response[10:]


def pcr_read(pcr):
    return command(0x15, struct.pack(">I", pcr))


def pcr_reset(pcr):
    select = bytearray(3)
    select[pcr // 8] = 1 << pcr % 8
    return command(0xC8, struct.pack(">H", 3) + select)


def set_capability(area, text):
    return command(0x3F, struct.pack(">III", area, len(text), 0) + text)


def nv_define(index, attributes, size):
    """Defines without an owner, which takes physical presence."""
    anywhere = struct.pack(">H3sB20s", 3, bytes(3), 0x1F, bytes(20))
    public = (struct.pack(">HI", 0x0018, index) + anywhere + anywhere
              + struct.pack(">HIBBBI", 0x0017, attributes, 0, 0, 0, size))
    return command(0xCC, public + bytes(20))


def nv_write(index, data):
    return command(0xCD, struct.pack(">III", index, 0, len(data)) + data)


def nv_read(index, size):
    return command(0xCF, struct.pack(">III", index, 0, size))


def nv_data(response):
    return response[14:]


# -- authorization (TPM Main Part 1, 13) --------------------------------------

def sha1(octets):
    return hashlib.sha1(octets).digest()


def hmac_sha1(key, octets):
    return hmac.new(key, octets, "sha1").digest()


def xored(left, right):
    return bytes(a ^ b for a, b in zip(left, right))


def authorized(ordinal, handles, parameters, session, key):
    """Adds one authorization to a command.

    `session` is a handle, its even nonce and our odd one."""
    handle, nonce_even, nonce_odd = session
    digest = sha1(struct.pack(">I", ordinal) + parameters)
    auth = hmac_sha1(key, digest + nonce_even + nonce_odd + b"\0")
    return command(ordinal, handles + parameters + struct.pack(">I", handle)
                   + nonce_odd + b"\0" + auth, tag=0x00C2)


def oiap(transact):
    """Opens a session that any secret can use."""
    response = transact(command(0x0A))
    handle, nonce_even = struct.unpack_from(">I20s", response, 10)
    return handle, nonce_even, os.urandom(20)


def osap(transact, entity_type, entity, secret):
    """Opens a session bound to one entity. Returns it and its shared key."""
    nonce_odd = os.urandom(20)
    response = transact(command(0x0B, struct.pack(">HI", entity_type, entity)
                                + nonce_odd))
    handle, nonce_even, shared_even = struct.unpack_from(">I20s20s",
                                                         response, 10)
    shared = hmac_sha1(secret, shared_even + nonce_odd)
    return (handle, nonce_even, os.urandom(20)), shared


# -- ownership and keys -------------------------------------------------------

def rsa_key(usage, encryption, signature):
    """TPM_KEY of 2048 bits, to be filled in by the TPM (Part 2, 10.2)."""
    parameters = struct.pack(">IHHI", 1, encryption, signature, 12)
    parameters += struct.pack(">III", 2048, 2, 0)
    return (struct.pack(">IHIB", 0x01010000, usage, 0, 1) + parameters
            + struct.pack(">III", 0, 0, 0))


def mask(seed, size):
    """MGF1 with SHA-1 (RFC 8017, B.2.1)."""
    octets = b"".join(sha1(seed + struct.pack(">I", i))
                      for i in range(size // 20 + 1))
    return octets[:size]


def encrypt(modulus, secret):
    """RSAES-OAEP, SHA-1, label "TCPA", exponent 65537 (Part 1, 31.1.1)."""
    size = len(modulus)
    padding = bytes(size - len(secret) - 42)
    block = sha1(b"TCPA") + padding + b"\1" + secret
    seed = os.urandom(20)
    block = xored(block, mask(seed, len(block)))
    seed = xored(seed, mask(block, 20))
    number = int.from_bytes(b"\0" + seed + block, "big")
    return pow(number, 65537, int.from_bytes(modulus, "big")).to_bytes(
        size, "big")


def take_ownership(transact):
    """Takes ownership; owner and SRK get the well-known secret."""
    response = transact(command(0x7C, os.urandom(20)))
    # TPM_KEY_PARMS, its RSA part, then the modulus and a checksum.
    modulus = response[10 + 12 + 12 + 4:-20]
    secret = encrypt(modulus, WELL_KNOWN)
    enclosed = struct.pack(">I", len(secret)) + secret
    parameters = (struct.pack(">H", 5) + enclosed + enclosed
                  + rsa_key(usage=0x0011, encryption=3, signature=1))
    return transact(authorized(0x0D, b"", parameters, oiap(transact),
                               WELL_KNOWN))


def create_wrap_key(transact):
    """Returns the command that makes a signing key under the SRK."""
    session, shared = osap(transact, 1, KH_SRK, WELL_KNOWN)
    _, nonce_even, nonce_odd = session
    parameters = (sha1(shared + nonce_even) + sha1(shared + nonce_odd)
                  + rsa_key(usage=0x0010, encryption=1, signature=2))
    return authorized(0x1F, struct.pack(">I", KH_SRK), parameters, session,
                      shared)
