#!/bin/sh
# Installs what peers.py and memorize.py measure beside our code: OpenBLAS, oneDNN and XNNPACK from Debian 12, ONNX Runtime from npm;
# cmph, gperf, Abseil and scikit-learn from Debian 12.
#
#     sh tests/bench/install-peers.sh
#
# Each is optional; what cannot be had is named, and the others are measured. ONNX Runtime's package is put into
# ${XDG_CACHE_HOME:-~/.cache}/cnet-bench, its install scripts are not run.
set -u

wanted='libopenblas-serial-dev libdnnl-dev libxnnpack-dev libpthreadpool-dev
    g++ pkg-config libcmph-dev gperf libabsl-dev python3-sklearn'
root=
[ "$(id -u)" = 0 ] || root=sudo
installed() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

missing=
for package in $wanted; do
    installed "$package" || missing="$missing $package"
done
if [ -n "$missing" ]; then
    $root apt-get update -qq
    for package in $missing; do
        $root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" >/dev/null \
            || echo "not installed: $package" >&2
    done
fi

folder=${XDG_CACHE_HOME:-$HOME/.cache}/cnet-bench
if ! command -v npm >/dev/null; then
    echo "not installed: onnxruntime-node (there is no npm)" >&2
elif [ ! -d "$folder/node_modules/onnxruntime-node" ]; then
    mkdir -p "$folder"
    npm install --ignore-scripts --no-audit --no-fund --silent --prefix "$folder" onnxruntime-node \
        || echo "not installed: onnxruntime-node" >&2
fi
