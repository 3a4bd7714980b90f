#!/usr/bin/env bash
# Unpacks NVIDIA's run-time compiler from shared/tools into artifacts/nvrtc, where the tests find it, and prints its file. It needs neither a GPU nor a driver.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
folder=$root/artifacts/nvrtc
archive=$(ls "$root"/../shared/tools/nvrtc/nvrtc-*-linux-x64.tar.xz 2>/dev/null | tail -n 1)
if [ ! -e "$folder/libnvrtc.so.13" ]; then
  if [ -z "$archive" ]; then echo "There is no shared/tools/nvrtc beside the repository." >&2; exit 1; fi
  mkdir -p "$root/artifacts"
  part=$(mktemp -d "$root/artifacts/nvrtc.XXXXXX")
  tar xJf "$archive" -C "$part"
  mv -T "$part" "$folder" 2>/dev/null || rm -rf "$part"
fi
echo "$folder/libnvrtc.so.13"
