# What scenarios say; sourced by busybox' sh in dom0.
#
# Every check writes one line, "ok - ..." or "not ok - ...", to descriptor 3.
# Nothing waits without a limit.

consoles=/var/log/xen/console
work=/run/scenario
step=300 # seconds one step may take; far beyond what it needs

# -- checks -------------------------------------------------------------------

# check SENTENCE COMMAND...: counts whether the command succeeds.
check() {
  sentence=$1
  shift
  echo "[$(date '+%F %T')] $sentence"
  if "$@"; then
    echo "ok - $sentence" >&3
  else
    echo "not ok - $sentence" >&3
    echo "#   failed: $*" >&3
    return 1
  fi
}

# equal GOT WANTED SENTENCE
equal() {
  if [ "$1" = "$2" ]; then
    echo "ok - $3" >&3
  else
    echo "not ok - $3" >&3
    echo "#   got '$1', wanted '$2'" >&3
    return 1
  fi
}

# like GOT PATTERN SENTENCE: the pattern is a shell's.
like() {
  case $1 in
  $2) echo "ok - $3" >&3 ;;
  *)
    echo "not ok - $3" >&3
    echo "#   got '$1', wanted '$2'" >&3
    return 1
    ;;
  esac
}

# Ends the scenario: without this the rest makes no sense.
give_up() {
  echo "not ok - $*" >&3
  exit 1
}

# seconds_of COMMAND...: runs it; its exit code is $code, and how long it took
# $seconds.
seconds_of() {
  begun=$(hundredths)
  "$@"
  code=$?
  seconds=$(awk "BEGIN { print ($(hundredths) - $begun) / 100 }")
}

hundredths() {
  cut -d ' ' -f 1 /proc/uptime | tr -d .
}

# wait_until SECONDS COMMAND...: whether it succeeds within the time.
wait_until() {
  local deadline # commands wait, too
  deadline=$(($(date +%s) + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$(date +%s)" -lt $deadline ] || return 1
    sleep 0.2
  done
}

# -- the store ----------------------------------------------------------------

backend_of() { # GUEST HANDLE
  xenstore-read "/local/domain/$(xl domid "$1")/device/vtpm/$2/backend"
}

backend_state() { # GUEST HANDLE
  xenstore-read "$(backend_of "$1" "$2")/state"
}

backend_is() { # GUEST HANDLE STATE
  [ "$(backend_state "$1" "$2")" = "$3" ]
}

# -- backends -----------------------------------------------------------------

# start_vtpmd NAME OPTION...: starts vtpmd in dom0 and waits until it serves. At
# first on a ready-made TPM, of $version, 1.2 unless set.
start_vtpmd() {
  mkdir -p $work
  name=$1
  shift
  [ -e "$work/$name.state" ] || copy_tpm "$name"
  # Keys made ahead would take the one emulated processor from the guests.
  vtpmd --xen --key-pool 0 --state "$work/$name.state" \
    --key "$work/$name.key" --control "$work/$name.control" "$@" \
    >>"$work/$name.log" 2>&1 &
  vtpmd_pid=$!
  wait_until $step ask "$name" status ||
    give_up "vtpmd serves: $(tail -n 1 "$work/$name.log")"
}

# copy_tpm NAME: $work/NAME.state and .key, made when this image was built: an
# emulated processor takes long over a TPM's first keys.
copy_tpm() {
  for part in state key; do
    cp "/opt/tests/tpm${version:-1.2}.$part" "$work/$1.$part"
    chmod 600 "$work/$1.$part"
  done
}

# ask NAME REQUEST...: vtpmctl's answer.
ask() {
  socket=$work/$1.control
  shift
  vtpmctl --control "$socket" "$@"
}

# stop_vtpmd: ends the one started last, in order; its exit code is $code.
stop_vtpmd() {
  kill "$vtpmd_pid"
  wait "$vtpmd_pid"
  code=$?
}

# make_disks NAME: two loop devices, named $state_disk and $key_disk, with a
# ready-made TPM of $version.
make_disks() {
  mkdir -p $work
  copy_tpm "$1"
  attach_disks "$1"
}

# make_blank_disks NAME: the same of zeros.
make_blank_disks() {
  mkdir -p $work
  rm -f "$work/$1.state" "$work/$1.key"
  attach_disks "$1"
}

attach_disks() {
  for part in state key; do
    truncate -s 1M "$work/$1.$part"
    device=$(losetup -f)
    losetup "$device" "$work/$1.$part"
    eval "${part}_disk=$device"
  done
}

# create_vtpm_domain NAME [OPTION...]: boots deploy/xen's image, with the disks
# that make_disks made last, and waits until it serves.
create_vtpm_domain() {
  name=$1
  shift
  sed -e "s|^name *=.*|name = \"$name\"|" \
    -e "s|STATE-DISK|$state_disk|; s|KEY-DISK|$key_disk|" \
    -e "s|EXTRA|tpm=${version:-1.2} vtpmd.key-pool=0 $*|" /opt/tests/vtpm.cfg >"/run/$name.cfg"
  rm -f "$consoles/guest-$name.log"
  xl create "/run/$name.cfg" || give_up "the vTPM domain $name is created"
  wait_until $step console_says "$name" "listening for frontends" ||
    give_up "the vTPM domain $name serves"
}

console_says() { # NAME PATTERN
  grep -q "$2" "$consoles/guest-$1.log"
}

domain_is_gone() { # NAME
  ! xl list "$1"
}

# give_again GUEST VTPM UUID: the guest's vTPM device once more, while it runs.
# Its driver makes /dev/tpm0 when it has it.
give_again() {
  xl vtpm-attach "$1" "backend=$2" "uuid=$3" && has_device "$1"
}

has_device() { # GUEST
  tell "$1" sh "for i in \$(seq 100); do [ -c /dev/tpm0 ] && exit; sleep 1; done
    exit 1"
  [ "${answer##*exit }" = 0 ]
}

# -- guests -------------------------------------------------------------------

# create_guest NAME BACKEND [UUID [EXTRA]]: boots a guest whose TPM that is, and
# waits for its agent. BACKEND - is none.
create_guest() {
  boot_guest "$@" && wait_until $step agent_is_ready "$1" ||
    give_up "the guest $1 boots"
}

# The same without the waiting.
boot_guest() {
  {
    echo "name = \"$1\""
    echo "type = \"${guest_type:-pv}\""
    echo "kernel = \"/boot/vmlinux\""
    echo "ramdisk = \"/boot/${guest_image:-guest}.cpio\""
    echo "memory = ${guest_memory:-96}"
    echo "vcpus = 1"
    echo "on_reboot = \"restart\""
    echo "cmdline = \"console=hvc0 quiet panic=5 $4\""
    [ "$2" = - ] || echo "vtpm = [ \"backend=$2${3:+,uuid=$3}\" ]"
  } >"/run/$1.cfg"
  xl create "/run/$1.cfg"
}

agent_is_ready() {
  xenstore-exists "/local/domain/$(xl domid "$1")/data/ready"
}

# tell GUEST REQUEST...: what the guest's agent answers, in $answer.
tell() {
  send "$@" && receive "$1"
}

# The first half: the guest goes to work.
send() {
  data=/local/domain/$(xl domid "$1")/data
  shift
  request=$((request + 1))
  xenstore-write "$data/do" "$request $*"
}

# The second: waits for the answer to the newest request to that guest.
receive() {
  data=/local/domain/$(xl domid "$1")/data
  number=$(xenstore-read "$data/do")
  number=${number%% *}
  if wait_until $step is_answered; then
    answer=$(xenstore-read -R "$data/done")
    answer=${answer#* }
  else
    answer="no answer"
  fi
}

is_answered() {
  case $(xenstore-read "$data/done") in "$number "*) ;; *) return 1 ;; esac
}

# load GUEST COUNT HEX: starts a load; see guest/agent.cpp.
load() {
  tell "$1" load "$2" "$3"
  equal "$answer" started "$1 begins its load"
}

# Whether a guest's load has got somewhere, or to its end.
has_loaded() { # GUEST COUNT
  tell "$1" loaded
  [ "${answer%% *}" -ge "$2" ]
}

# What the console says that was acknowledged, when the guest is gone.
acknowledged_on_console() {
  tr -d '\r' <"$consoles/guest-$1.log" |
    awk '$(NF - 1) == "acknowledged" { last = $NF } END { print last + 0 }'
}

# tpm GUEST HEX: a TPM's response, in $answer.
tpm() {
  tell "$1" tpm "$2"
}

# -- cleaning up --------------------------------------------------------------

# Shows what the domains and vtpmd said, and ends all of them.
clean_up() {
  for log in $consoles/guest-*.log $work/*.log; do
    [ -f "$log" ] || continue
    echo "--- $log"
    cat "$log"
  done
  xl list
  xenstore-ls -fp /local/domain/0/backend/vtpm 2>/dev/null
  for name in $(xl list | awk 'NR > 1 && $2 > 0 { print $1 }'); do
    xl destroy "$name"
  done
  for pid in $(pidof vtpmd); do
    kill "$pid"
  done
  wait_until 10 sh -c '! pidof vtpmd' || kill -9 $(pidof vtpmd)
  sleep 1
  xenstore-rm /local/domain/0/device/vtpm 2>/dev/null
  losetup -D 2>/dev/null || for device in $(losetup -a | cut -d: -f1); do
    losetup -d "$device"
  done
  rm -rf $work $consoles/*
}
