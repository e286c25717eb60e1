#!/bin/bash
# A small load of every kind on a server, for builds with sanitizers: streams, uploads, vectors, explanations, cancelled and malformed
# requests, HTTP with and without streaming, SIGTERM under load. Ends with the server's exit status: a sanitizer that found something makes it one.
#
#   tools/served_load.sh build/tsan [REQUESTS]
set -euo pipefail
cd "$(dirname "$0")/.."
binocle=$1/bin/binocle
requests=${2:-300}
export TSAN_OPTIONS="ignore_noninstrumented_modules=1 suppressions=$PWD/tests/tsan_suppressions.txt ${TSAN_OPTIONS:-}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$binocle" serve --listen 127.0.0.1:0 --http 127.0.0.1:0 --port-file "$work/ports.json" --drain-seconds 120 2>"$work/log" &
server=$!
trap 'kill -KILL "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
until [ -s "$work/ports.json" ]; do
  kill -0 "$server" || { cat "$work/log" >&2; exit 1; }
  sleep 0.2
done
port() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$work/ports.json" "$1"; }
grpc=127.0.0.1:$(port grpc)
pictures=()
for picture in examples/images/*.png; do pictures+=(--image "$picture"); done
load() { "$binocle" client load --server "$grpc" --max-new-tokens 12 --timeout 0 "$@"; }

load --requests "$requests" --concurrency 32 --cancel-share 0.2 --malformed-share 0.05 --check "${pictures[@]:0:8}" &
jobs=($!)
load --requests $((requests / 5)) --concurrency 4 --seed 3 --upload "${pictures[@]:0:4}" &
jobs+=($!)
(for _ in 1 2 3; do
  "$binocle" client explain --server "$grpc" "${pictures[@]:0:2}" 'What is this?' --out "$work/explained" --timeout 0 >/dev/null
  rm -r "$work/explained"
  "$binocle" client embed --server "$grpc" "${pictures[@]:0:2}" --timeout 0 >/dev/null
done) &
jobs+=($!)
python3 - "$(port http)" "${pictures[1]}" <<'PYTHON' &
import base64, concurrent.futures, json, sys, urllib.error, urllib.request

port, picture = sys.argv[1:]
url = "data:image/png;base64," + base64.b64encode(open(picture, "rb").read()).decode()


def ask(k):
    content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "What is this?"}]
    body = {"model": "binocle-tiny", "messages": [{"role": "user", "content": content}], "max_tokens": 8, "stream": k % 2 == 0, "n": 1 + k % 3, "temperature": k % 3,
            "binocle": {"interventions": {"pai": {"alpha": 0.3}} if k % 4 == 1 else {}}}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request) as reply:
            reply.read(20 if k % 5 == 0 else -1)  # some go in the middle
    except urllib.error.HTTPError as error:
        sys.exit(f"{error}: {error.read().decode()}")


with concurrent.futures.ThreadPoolExecutor(12) as pool:
    list(pool.map(ask, range(36)))
urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read()
PYTHON
jobs+=($!)
for job in "${jobs[@]}"; do wait "$job"; done

load --requests "$requests" --concurrency 16 --seed 5 "${pictures[@]:0:2}" >/dev/null 2>&1 &
rest=$!
sleep 2
kill -TERM "$server"
status=0
wait "$server" || status=$?
wait "$rest" || true  # what came after the signal was sent away
grep -v '^{' "$work/log" >&2 || true
echo "server: $status"
exit "$status"
