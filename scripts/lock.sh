#!/usr/bin/env bash
# Write requirements/*.txt from pyproject.toml: exact versions with the hashes of every file of
# each release, for every platform, naming no package index. Upgrades when UPGRADE=1.
set -euo pipefail
cd "$(dirname "$0")/.."

tool=.cache/lock-tool
[ -x "$tool/bin/uv" ] || { "${PYTHON:-python3}" -m venv "$tool" && "$tool/bin/pip" install -q uv; }
compile() {
    "$tool/bin/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-emit-find-links --no-header ${UPGRADE:+--upgrade} "$@"
}
compile pyproject.toml -o requirements/base.txt
compile pyproject.toml --extra oidc -c requirements/base.txt -o requirements/oidc.txt
compile pyproject.toml --group dev --group build -c requirements/base.txt -o requirements/test.txt
compile --group build -c requirements/test.txt -o requirements/build.txt
