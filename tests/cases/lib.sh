# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What the `disks` fragments of cases are written in. They run in an empty folder; `disk` names what aderescue gets, in that order.
. "$(dirname "${BASH_SOURCE[0]}")/../../fixtures/images/lib.sh"
cases_cache=${ADERESCUE_FIXTURE_CACHE:-$lib_top/cache/fixtures}

# fixture NAME AS: a copy of a fixture's image as AS.img; NAME may be one of several (good-bek.empty)
fixture() {
	"$lib_top/fixtures/build" "${1%%.*}"
	cp --sparse=always "$cases_cache/${1%%.*}/$1.img" "$2.img"
}
disk() { printf '%s\n' "$@" >>disks.list; }
arg() { printf '%s\n' "$@" >>args.list; }
# Files for the image gather below t/; merge puts them in.
state() {            # NAME, content on stdin
	mkdir -p "t$STATE"
	chmod 700 "t$STATE"
	cat >"t$STATE/$1"
}
markers() {
	local name
	mkdir -p "t$STATE/os_encryption_markers"
	chmod 700 "t$STATE"
	for name; do : >"t$STATE/os_encryption_markers/$name"; done
}
merge() {            # IMAGE PARTNO
	find t -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
	fs_merge "$1" "$2" t
	rm -r t
}
# The usual leftovers of E1: a config that knows its volume type only, and locks.
state_e1() { config_ini "${1:-All}" | state azure_crypt_config.ini; : | state daemon_lock_file.lck; : | state status_lock_file.lck; }
# append IMAGE PARTNO PATH, text on stdin: at the end of a text file of the image; mode and owner are those of a system file
append() {
	local offset
	offset=$(part_offset "$1" "$2")
	mkdir -p "t$(dirname "$3")"
	debugfs -R "cat $3" "$1?offset=$offset" >"t$3" 2>/dev/null
	cat >>"t$3"
	merge "$1" "$2"
}
