#!/usr/bin/env bash
# Breaks the packages that keep the promise of delivery in small ways, one by one,
# and lists what no test noticed. Gremlins does it in copies of the module; all of
# them are in one folder that is gone afterwards.
#
#   packaging/scripts/mutants.sh
#
# Environment:
#   MUTATED      default: buffer publish agent/record agent/drain
#   MUTANTTIME   longest time for one package, default 60m. Survivors are printed
#                as they are found, file by file, so a run that is cut short counts.
set -euo pipefail
cd "$(dirname "$0")/../.."
TMPDIR=$(mktemp -d)
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
GOBIN=$TMPDIR go install "$GREMLINS"
for package in ${MUTATED:-buffer publish agent/record agent/drain}; do
	echo "== $package: mutants that survive"
	code=0
	timeout --signal=INT --kill-after=2m "${MUTANTTIME:-60m}" \
		"$TMPDIR/gremlins" unleash --output-statuses l --exclude-files 'test/' "./$package" || code=$?
	case $code in
	0) ;;
	124) echo "stopped after ${MUTANTTIME:-60m}" ;;
	*) exit "$code" ;;
	esac
done
