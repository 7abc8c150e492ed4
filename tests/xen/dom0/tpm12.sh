# TPM 1.2 commands in hex (TPM Main Part 3), and what answers look like.

get_manufacturer=00c10000001600000065000000050000000400000103
get_owner=00c10000001600000065000000050000000400000111
get_random=00c10000000e0000004600000010
startup_clear=00c10000000c000000990001

extend() { # PCR, DIGEST
  printf '00c10000002200000014%08x%s' "$1" "$2"
}

pcr_read() { # PCR
  printf '00c10000000e00000015%08x' "$1"
}

pcr_reset() { # PCR, below 24
  select=$((1 << ($1 % 8)))
  bytes="$([ $1 -lt 8 ] && printf %02x $select || printf 00)"
  bytes="$bytes$([ $1 -ge 8 ] && [ $1 -lt 16 ] && printf %02x $select ||
    printf 00)"
  bytes="$bytes$([ $1 -ge 16 ] && printf %02x $select || printf 00)"
  printf '00c10000000f000000c80003%s' "$bytes"
}

# A counter's worth of NV that may be written with physical presence: TPM_TAG_
# NV_DATA_PUBLIC, index, "any PCR" twice, TPM_NV_PER_PPWRITE, 8 octets.
nv_define() { # INDEX
  any=00030000001f$(printf '00%.0s' $(seq 20))
  printf '00c100000065000000cc0018%08x%s%s%s%s' "$1" "$any" "$any" \
    001700000001000000 "00000008$(printf '00%.0s' $(seq 20))"
}

nv_write() { # INDEX, 16 DIGITS
  printf '00c10000001e000000cd%08x0000000000000008%s' "$1" "$2"
}

nv_read() { # INDEX
  printf '00c100000016000000cf%08x0000000000000008' "$1"
}

# The result code of a response.
code_of() {
  echo "$1" | cut -c13-20
}

# What is after the header, and after a size of four octets.
data_of() {
  echo "$1" | cut -c21-
}

sized_data_of() {
  echo "$1" | cut -c29-
}

success=00000000
bad_locality=0000003d
zeros=0000000000000000000000000000000000000000
digest=abababababababababababababababababababab
# SHA-1 of twenty zeros and that digest.
extended_once=6ea3708120ade24f4718d3ec72a53ecd5b04f3a9
# The same of twenty times 0xFF, what PCRs 17 to 22 are reset to while no trusted
# operating system runs (TPM Main Part 1, 21.4).
ones_extended_once=68b6413e63ee03e216aeb4ad48451377134492ee
