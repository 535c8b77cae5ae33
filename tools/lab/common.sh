# To be sourced: what labs of all architectures share. A lab is a machine of QEMU's TCG with Debian's own kernel, an initial
# RAM disk of busybox, the programs of one test and the libraries they need; its kernel offers KVM, so that what runs
# there meets KVM's real behaviour wherever the host stands. The script of an architecture sets
#   LAB_CALLER   the folder that relative paths of its arguments start from; the script itself goes to the project's root
#   LAB_SYSROOT  where that architecture's libraries are; / for the host's own
#   LAB_TRIPLET  their folder's name, such as aarch64-linux-gnu
#   LAB_BUSYBOX  a static busybox of it
#   LAB_MODULES  kernel modules to load before the program, in order; may be empty
# and a function lab_qemu INITRD WRAPPER..., which runs QEMU by WRAPPER, the serial port on standard output; then calls
# lab_main "$@".
# Status: the program's own; 124 when time is over; 125 when the machine ended without telling it; 126 for bad usage.

lab_die() {
  echo "lab: $1" >&2
  exit 126
}

lab_usage() {
  echo "usage: $0 [--timeout SECONDS] [--file SRC:DST]... PROGRAM-OR-SCRIPT [ARG...]" >&2
  exit 126
}

# A path as the caller meant it, who stood in LAB_CALLER.
lab_path() {
  case $1 in /*) echo "$1" ;; *) echo "$LAB_CALLER/$1" ;; esac
}

# One word of a shell, whatever is in it.
lab_quote() {
  printf "'%s' " "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")"
}

# Whether FILE is a program or library, which may need others.
lab_is_elf() {
  [ "$(head -c 4 "$1" | od -An -c | tr -d ' ')" = '177ELF' ]
}

# lab_find_library NAME: its path below the sysroot.
lab_find_library() {
  for lab_folder in "lib/$LAB_TRIPLET" "usr/lib/$LAB_TRIPLET" lib usr/lib; do
    if [ -e "$LAB_SYSROOT/$lab_folder/$1" ]; then
      echo "$LAB_SYSROOT/$lab_folder/$1"
      return 0
    fi
  done
  lab_die "no library $1 in $LAB_SYSROOT"
}

# lab_add_libraries ROOT FILE: what FILE needs, and what that needs, goes to where the dynamic linker looks first.
lab_add_libraries() (
  interpreter=$(readelf -lW "$2" | sed -n 's/.*program interpreter: \(.*\)]$/\1/p')
  if [ -n "$interpreter" ] && [ ! -e "$1$interpreter" ]; then
    mkdir -p "$1$(dirname "$interpreter")"
    cp -L "$LAB_SYSROOT$interpreter" "$1$interpreter"
  fi
  for name in $(readelf -dW "$2" 2>/dev/null | sed -n 's/.*(NEEDED).*\[\(.*\)\]$/\1/p'); do
    target=$1/lib/$LAB_TRIPLET/$name
    [ ! -e "$target" ] || continue
    library=$(lab_find_library "$name") || exit 126
    mkdir -p "${target%/*}"
    cp -L "$library" "$target"
    lab_add_libraries "$1" "$library"
  done
)

# lab_add ROOT SRC DST: a file or a folder, with the libraries of all programs in it.
lab_add() {
  [ -e "$2" ] || lab_die "$2: no such file"
  mkdir -p "$1$(dirname "$3")"
  cp -rL --preserve=mode "$2" "$1$3"
  find "$1$3" -type f > "$1.added"
  while read -r lab_added; do
    if lab_is_elf "$lab_added"; then lab_add_libraries "$1" "$lab_added" || exit 126; fi
  done < "$1.added"
}

# lab_make_root ROOT: what every lab has.
lab_make_root() {
  mkdir -p "$1/bin" "$1/dev" "$1/proc" "$1/sys" "$1/tmp" "$1/lab/modules"
  cp "$LAB_BUSYBOX" "$1/bin/busybox"
  cp tools/lab/init "$1/init"
  chmod 755 "$1/init"
  lab_number=10  # names keep the order
  for lab_module in $LAB_MODULES; do
    cp "$lab_module" "$1/lab/modules/$lab_number-${lab_module##*/}"
    lab_number=$((lab_number + 1))
  done
}

# lab_add_command ROOT PROGRAM [ARG...]: what the init runs.
lab_add_command() {
  lab_root=$1
  lab_program=/lab/bin/${2##*/}
  lab_add "$lab_root" "$(lab_path "$2")" "$lab_program"
  chmod 755 "$lab_root$lab_program"
  shift 2
  {
    lab_quote "$lab_program"
    for lab_argument in "$@"; do lab_quote "$lab_argument"; done
    echo
  } > "$lab_root/lab/command"
}

# lab_run SECONDS INITRD LOG: shows what the machine prints, and ends as its program did. The last line is the init's; a
# machine that died has said something else, or nothing.
lab_run() {
  {
    lab_qemu_status=0
    lab_qemu "$2" timeout --foreground -k 5 "$1" < /dev/null 2>&1 || lab_qemu_status=$?
    echo "$lab_qemu_status" > "$3.qemu"
  } | sed -u 's/\r$//' | tee "$3"
  lab_qemu_status=$(cat "$3.qemu")
  if [ "$lab_qemu_status" = 124 ]; then
    echo "lab: not finished after $1 s" >&2
    return 124
  fi
  lab_status=$(tail -n 1 "$3" | sed -n 's/.*lab status \([0-9]*\)$/\1/p')
  if [ -n "$lab_status" ]; then return "$lab_status"; fi
  echo "lab: the machine ended without a status (QEMU's: $lab_qemu_status)" >&2
  return 125
}

lab_main() {
  lab_limit=120
  lab_work=$(mktemp -d)
  trap 'rm -rf "$lab_work"' EXIT
  : > "$lab_work/files"
  while :; do
    case "${1-}" in
      --timeout) lab_limit=${2-}; [ $# -ge 2 ] || lab_usage; shift 2 ;;
      --file) [ $# -ge 2 ] || lab_usage; printf '%s\n' "$2" >> "$lab_work/files"; shift 2 ;;
      --) shift; break ;;
      -*) lab_usage ;;
      *) break ;;
    esac
  done
  [ $# -ge 1 ] || lab_usage
  lab_make_root "$lab_work/root"
  while IFS=: read -r lab_source lab_target; do
    case $lab_target in /*) ;; *) lab_die "$lab_source:$lab_target: the second is no absolute path" ;; esac
    lab_add "$lab_work/root" "$(lab_path "$lab_source")" "$lab_target"
  done < "$lab_work/files"
  lab_add_command "$lab_work/root" "$@"
  (cd "$lab_work/root" && find . | cpio --quiet -o -H newc -R 0:0) > "$lab_work/initrd"
  lab_run "$lab_limit" "$lab_work/initrd" "$lab_work/log"
}
