#!/bin/sh
# Installs the system packages that Binocle needs, and is the only place that names them. Debian 12; Ubuntu 24.04 has the same names.
#
#   tools/install_deps.sh [--test] [--bench] [--package] [--training] [--clip-art] [--format] [--tidy] [--fuzz]
#
# Without options: what the build and the unit tests need. Asks nothing; works as root or through sudo; does nothing, and needs no
# rights and no network, when everything is there already.
set -eu

# Compiler, build tools; pictures; tokenizers; matrix products; SIMD; JSON; command line; line editing; the service: gRPC, protobuf (whose
# headers gRPC's package does not bring), TLS and digests, HTTP, metrics, configuration; unit tests.
packages="g++ cmake ninja-build pkgconf
  libopencv-core-dev libopencv-imgproc-dev libopencv-imgcodecs-dev zlib1g-dev
  libsentencepiece-dev libpcre2-dev libutf8proc-dev
  libdnnl-dev
  libhwy-dev
  nlohmann-json3-dev
  libcli11-dev
  libedit-dev
  libgrpc++-dev protobuf-compiler-grpc protobuf-compiler libprotobuf-dev libssl-dev
  libcpp-httplib-dev prometheus-cpp-dev libyaml-cpp-dev
  libgtest-dev libgmock-dev"

usage() {
  sed -n '2,7s/^# \{0,1\}//p' "$0"
}

for option in "$@"; do
  case "$option" in
    --test) packages="$packages python3 python3-venv make openmpi-bin" ;;  # the checks of `make test`; mpirun, 6 MB
    --bench) packages="$packages libbenchmark-dev" ;;               # `make bench`
    --package) packages="$packages dpkg-dev file" ;;                # `make package` asks dpkg-shlibdeps
    --training) packages="$packages fonts-noto-color-emoji unicode-data fonts-dejavu-core fonts-liberation
                          fonts-symbola fonts-lato fonts-open-sans fonts-crosextra-carlito fonts-crosextra-caladea
                          fonts-comic-neue fonts-quicksand fonts-inconsolata fonts-courier-prime fonts-roboto-slab
                          fonts-dosis fonts-cabin fonts-vollkorn fonts-play
                          python3-numpy python3-pil python3-venv" ;;  # scenes, words in several fonts
    --clip-art) packages="$packages openclipart-png" ;;             # the out-of-style held-out set: 131 MB to fetch
    --format) packages="$packages clang-format-14" ;;               # one version, so that two people format alike
    --tidy) packages="$packages clang-tidy-14" ;;                   # `cmake --preset tidy`
    --fuzz) packages="$packages clang-14 libclang-rt-14-dev" ;;     # `cmake --preset fuzz`: libFuzzer
    --help | -h) usage; exit 0 ;;
    *) echo "install_deps.sh: unknown option '$option'" >&2; usage >&2; exit 2 ;;
  esac
done

fail() {
  echo "install_deps.sh: $1" >&2
  echo "install_deps.sh: the packages are:" $packages >&2
  exit 1
}

no_apt() {
  fail "this system has no apt-get. Install the equivalents of these Debian packages by hand, then say \`make DEPS=true …\`."
}
command -v dpkg-query >/dev/null || no_apt

missing=""
for package in $packages; do
  # Another architecture's copy does not count: plain names are the native ones.
  status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
command -v apt-get >/dev/null || no_apt

if [ "$(id -u)" -eq 0 ]; then
  as_root=""
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
  as_root="sudo -n"
else
  fail "not root, and sudo is absent or wants a password. Run \`sudo tools/install_deps.sh $*\` once. Missing:$missing"
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT

# Says something only when it fails.
apt() {
  $as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -q -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" </dev/null >"$log" 2>&1 && return 0
  cat "$log" >&2
  return 1
}

retry() {
  for attempt in 1 2 3; do
    if "$@"; then return 0; fi
    echo "install_deps.sh: attempt $attempt failed: $*" >&2
    sleep $((attempt * 2))
  done
  return 1
}

echo "install_deps.sh: installing$missing (about a minute)"
retry apt update || fail "apt-get update failed (is there a network?). Missing:$missing"
# shellcheck disable=SC2086  # one word per package
retry apt install -y --no-install-recommends $missing ||
  fail "apt-get could not install:$missing. On Ubuntu the 'universe' component must be enabled."
