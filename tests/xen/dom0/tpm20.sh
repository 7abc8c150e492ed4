# TPM 2.0 commands in hex (TPM 2.0 Library, Part 3), and what answers look like.
# Every authorization is an empty password.

password=00000009400000090000000000

get_random=80010000000c0000017b0010

select_of() { # PCR, 16 to 23
  printf '00000001000b030000%02x' $((1 << ($1 - 16)))
}

pcr_read() { # PCR, 16 to 23
  printf '8001000000140000017e%s' "$(select_of "$1")"
}

extend() { # PCR, DIGEST of 32 octets
  printf '80020000004100000182%08x%s00000001000b%s' "$1" $password "$2"
}

# An NV index of 8 octets, read and written with its own, empty, password.
nv_define() { # INDEX
  printf '80020000002d0000012a40000001%s0000000e%08x000b0204000400000008' \
    $password "$1"
}

nv_write() { # INDEX, 16 DIGITS
  printf '80020000002b00000137%08x%08x%s0008%s0000' "$1" "$1" $password "$2"
}

nv_read() { # INDEX
  printf '8002000000230000014e%08x%08x%s00080000' "$1" "$1" $password
}

# What it read, in digits: behind header, parameter size and size.
nv_data_of() {
  echo "$1" | cut -c33-48
}

# The response code.
code_of() {
  echo "$1" | cut -c13-20
}

# The last octets of a response: COUNT digits.
last_of() { # RESPONSE, COUNT
  echo "$1" | tail -c $(($2 + 1))
}

success=00000000
zeros=$(printf '00%.0s' $(seq 32))
digest=$(printf 'ab%.0s' $(seq 32))
# SHA-256 of 32 zeros and that digest.
extended_once=$(echo debb3e7acfff6dd18d501042273629f0 \
  b79cb206bb8c24f59f62ddb80849403b | tr -d ' ')
