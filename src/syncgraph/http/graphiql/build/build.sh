#!/bin/sh
# Builds the GraphiQL page from npm packages at the versions of package-lock.json.
#
#   build.sh           writes ../assets and ../SHA256SUMS
#   build.sh --check   builds, and says whether the committed files are the same; writes nothing
#   build.sh --lock    writes package-lock.json anew (after a change of package.json)
#
# Needs node >= 20 and npm. The gateway itself needs neither: the built files are committed.
# ../assets/examples.json is edited by hand; this script never touches it.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
top=$(dirname "$here")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export LC_ALL=C

cp "$here/package.json" "$here/.npmrc" "$work/"
cd "$work"

if [ "${1:-}" = --lock ]; then
    npm install --package-lock-only
    if grep -n '"resolved"' package-lock.json; then
        echo "package-lock.json has download addresses" >&2
        exit 1
    fi
    cp package-lock.json "$here/"
    exit 0
fi

cp "$here/package-lock.json" "$here/build.mjs" "$here/index.html" "$here/main.jsx" \
    "$here/main.css" "$here/jsonc-format.js" .
npm ci
mkdir -p new/assets
node build.mjs new/assets
for phrase in "$work" "$here" sourceMappingURL; do
    if grep -rlF -- "$phrase" new; then
        echo "built files contain: $phrase" >&2
        exit 1
    fi
done
(cd new && find assets -type f | sort | xargs sha256sum >SHA256SUMS)

if [ "${1:-}" = --check ]; then
    cmp new/SHA256SUMS "$top/SHA256SUMS"
    (cd "$top" && sha256sum --check --quiet SHA256SUMS)
    echo "the committed files are those of this build"
    exit 0
fi

mkdir -p "$top/assets"
find "$top/assets" -type f ! -name examples.json -exec rm {} +
cp new/assets/* "$top/assets/"
cp new/SHA256SUMS "$top/"
cat "$top/SHA256SUMS"
