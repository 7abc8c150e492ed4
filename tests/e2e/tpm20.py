"""TPM 2.0 commands, as far as these tests need them (2.0 Part 3).

Sections are the specification's; every authorization is a plain password.
"""

import struct

RC_SUCCESS = 0
# TPM_RC_AUTH_FAIL of the first session (Part 2, 6.6.3).
RC_AUTH_FAIL_1 = 0x98E
RC_COMMAND_SIZE = 0x142
RC_FAILURE = 0x101
RC_LOCALITY = 0x907
RC_CANCELED = 0x909
RC_BAD_TAG = 0x1E
RC_RETRY = 0x922

RH_OWNER = 0x40000001
RH_NULL = 0x40000007
RS_PW = 0x40000009
ALG_SHA256 = 0x000B

# TPMA_NV (Part 2, 13.4).
NV_OWNERWRITE = 1 << 1
NV_AUTHWRITE = 1 << 2
NV_COUNTER = 1 << 4
NV_OWNERREAD = 1 << 17
NV_AUTHREAD = 1 << 18
NV_NO_DA = 1 << 25
# What whoever knows the password may use, which no wrong one locks.
NV_BY_PASSWORD = NV_AUTHWRITE | NV_AUTHREAD | NV_NO_DA

# TPM_PT_LOCKOUT_COUNTER (Part 2, 6.13).
PT_LOCKOUT_COUNTER = 0x20E


def sized(octets):
    """TPM2B: a size of 16 bits and the octets."""
    return struct.pack(">H", len(octets)) + octets


def command(code, handles=(), passwords=(), parameters=b""):
    """Returns a command packet."""
    body = b"".join(struct.pack(">I", handle) for handle in handles)
    if passwords:
        area = b"".join(struct.pack(">IHB", RS_PW, 0, 0) + sized(password)
                        for password in passwords)
        body += struct.pack(">I", len(area)) + area
    body += parameters
    tag = 0x8002 if passwords else 0x8001
    return struct.pack(">HII", tag, 10 + len(body), code) + body


def result(response):
    """Returns the response code."""
    return struct.unpack_from(">I", response, 6)[0]


def persistent(transact, packet):
    """Submits a command again until the TPM does not answer TPM_RC_RETRY,
    which it does to the first use of what its dictionary-attack protection
    covers: it notes that use in NV memory before it looks at the password."""
    while True:
        response = transact(packet)
        if result(response) != RC_RETRY:
            return response


def get_random(size=16):
    return command(0x17B, parameters=struct.pack(">H", size))


def get_property(which):
    return command(0x17A, parameters=struct.pack(">III", 6, which, 1))


def property_in(response):
    """Returns the value of the one property in a response."""
    return struct.unpack_from(">I", response, 10 + 1 + 4 + 4 + 4)[0]


def pcr_extend(pcr, digest):
    return command(0x182, [pcr], [b""],
                   struct.pack(">IH", 1, ALG_SHA256) + digest)


def pcr_reset(pcr):
    return command(0x13D, [pcr], [b""])


def pcr_read(pcr):
    select = bytearray(3)
    select[pcr // 8] = 1 << pcr % 8
    return command(0x17E, parameters=struct.pack(">IHB", 1, ALG_SHA256, 3)
                   + select)


def pcr_in(response):
    """Returns the one digest in a response to PCR_Read."""
    return response[10 + 4 + 4 + 2 + 1 + 3 + 4 + 2:]


def nv_define(index, attributes, size, auth=b""):
    public = struct.pack(">IHIHH", index, ALG_SHA256, attributes, 0, size)
    return command(0x12A, [RH_OWNER], [b""], sized(auth) + sized(public))


def nv_write(index, data, auth=b"", offset=0):
    return command(0x137, [index, index], [auth],
                   sized(data) + struct.pack(">H", offset))


def nv_read(index, size, auth=b""):
    return command(0x14E, [index, index], [auth], struct.pack(">HH", size, 0))


def nv_data(response):
    """Returns what an NV_Read has read."""
    size, = struct.unpack_from(">H", response, 14)
    return response[16:16 + size]


def nv_increment(index, auth=b""):
    return command(0x134, [index, index], [auth])


def counter_in(response):
    """Returns the value of a counter that was read."""
    return int.from_bytes(nv_data(response), "big")


# An area of parameters that says: no sensitive data, no outside info, no PCRs.
NO_SENSITIVE = sized(struct.pack(">HH", 0, 0))
NO_OUTSIDE_INFO_NOR_PCRS = struct.pack(">HI", 0, 0)


def create_primary_ecc():
    """A storage key on P-256 that no wrong password locks: made at once."""
    public = struct.pack(">HHIH", 0x0023, ALG_SHA256, 0x00030472, 0)
    public += struct.pack(">HHHHHHHH", 6, 128, 0x43, 0x10, 3, 0x10, 0, 0)
    return command(0x131, [RH_OWNER], [b""], NO_SENSITIVE + sized(public)
                   + NO_OUTSIDE_INFO_NOR_PCRS)


def start_session():
    """An HMAC session, neither salted nor bound."""
    return command(0x176, [RH_NULL, RH_NULL], parameters=sized(bytes(16))
                   + sized(b"") + struct.pack(">BHH", 0, 0x10, ALG_SHA256))


def read_public(handle):
    return command(0x173, [handle])


def flush(handle):
    return command(0x165, [handle])


def handle_in(response):
    return struct.unpack_from(">I", response, 10)[0]


def create_rsa(parent):
    """A signing key of 2048 bits: finding the primes takes its time."""
    public = struct.pack(">HHIH", 0x0001, ALG_SHA256, 0x00040072, 0)
    public += struct.pack(">HHHIH", 0x10, 0x10, 2048, 0, 0)
    return command(0x153, [parent], [b""], NO_SENSITIVE + sized(public)
                   + NO_OUTSIDE_INFO_NOR_PCRS)
