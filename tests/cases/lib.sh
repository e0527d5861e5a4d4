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

# ---- words that many cases share ----
LUN0=/dev/disk/azure/scsi1/lun0
KEYFILE=/mnt/azure_bek_disk/LinuxPassPhraseFileName_1_0
DETACHED_MAPPER=c49ff535-1df9-45ad-9dad-f0846509f053
# os LAYOUT: the plain OS disk of that layout as os.img; $root is the partition of its root for merge, append and edit
os() {
	fixture "good-plain-$1" os
	root=1
	[ "$1" != 4kn ] || root=@6291456
	disk os.img
}
data() { fixture "good-data.$1" data; disk data.img; }
bek_volume() { fixture "good-bek${1:+.$1}" bek; disk bek.img; }
# e1 [TYPE [MRSEQ]]: E1 and the extension that left it, settings number 2, into the root of os.img
e1() { state_e1 "${1:-All}"; extension t 2 "${2:-2}" "${1:-All}" "$KV_NEW"; merge os.img "$root"; }
# stamped TYPE SEQ [VERSION]: complete config and params and the extension, into t/
stamped() {
	config_ini "$1" "$2" | state azure_crypt_config.ini
	params_ini "$1" "$KV_NEW" | state azure_crypt_params.ini
	: | state status_lock_file.lck
	extension t "$2" "$2" "$1" "$KV_NEW" "${3:-$EXT_VERSION}"
}
# ade_lines [DEVICE [KEYFILE]]: what crypttab and fstab of os.img say of an encrypted data disk
ade_lines() {
	append os.img "$root" /etc/crypttab <<<"$DATA_MAPPER ${1:-$LUN0} ${2:-$KEYFILE} luks,nofail"
	append os.img "$root" /etc/fstab <<<"/dev/mapper/$DATA_MAPPER /data1 auto nofail,defaults 0 0"
}
# ongoing PHASE [DEVICE]: azure_crypt_ongoing_item.ini on stdout
ongoing() {
	local device=${2:-$LUN0}
	printf '[azure_crypt_ongoing_item_config]\ndevnamepath = /dev/sdc\ndevicepath = %s\nmappername = %s\nphase = %s\n' "$device" "$DATA_MAPPER" "$1"
	printf 'headerslicefilepath = %s/copy_header_slice_file\nfilesystem = ext4\nmountpoint = /data1\nsize = 58720256\ncurrentsliceindex = 1\n' "$STATE"
	printf 'fromend = True\ncurrentsourcepath = %s\ncurrentdestination = /dev/mapper/%s\ncurrenttotalcopysize = 58720256\ncurrentblocksize = 52428800\n\n' "$device" "$DATA_MAPPER"
}
decrypt_queue() { printf '[decryption_request_queue]\nencryptionoperation = DisableEncryption\nvolumetype = Data\n\n'; }
# dual_pass [DEVICE]: the registry of a dual-pass data disk and its header, into t/
dual_pass() {
	fixture good-data.header header
	stamped Data 3 0.1.0.999345
	state azure_crypt_mount <<<"$DETACHED_MAPPER ${1:-$LUN0} $STATE/azureluksheader$DETACHED_MAPPER /data1 ext4 False 0"
	cp --sparse=always header.img "t$STATE/azureluksheader$DETACHED_MAPPER"
	rm header.img
}
# in_partition IMAGE: IMAGE becomes the first partition of a disk with a GPT
in_partition() {
	local size=$((($(stat -c %s "$1") + 511) / 512))
	mv "$1" part.tmp
	gpt "$1" $((size / 2048 + 3)) 5A1E7B3C-9D42-4E0F-8A61-0C2D3E4F5AD3 <<<"start=2048, size=$size, type=$T_LINUX, uuid=1C0FFEE0-1111-4222-8333-4444555566D3"
	put "$1" 2048 part.tmp
	rm part.tmp
}
# edit IMAGE PARTNO PATH SED-SCRIPT: a text file of the image
edit() {
	local offset
	offset=$(part_offset "$1" "$2")
	mkdir -p "t$(dirname "$3")"
	debugfs -R "cat $3" "$1?offset=$offset" 2>/dev/null | sed "$4" >"t$3"
	merge "$1" "$2"
}
rename_machine() {   # IMAGE PARTNO NAME
	fs_run "$1" "$2" <<-END
	rm /etc/hostname
	rm /etc/machine-id
	END
	mkdir -p t/etc
	echo "$3" >t/etc/hostname
	printf '%s' "$3" | md5sum | cut -c 1-32 >t/etc/machine-id
	merge "$1" "$2"
}
as_vhd() {           # IMAGE VHD: a fixed VHD as it is downloaded from Azure
	qemu-img convert -f raw -O vpc -o subformat=fixed,force_size "$1" "$2"
	rm "$1"
}
# special NAME p|s|"c MAJOR MINOR"|"b MAJOR MINOR": a FIFO, socket or device node in the state directory of os.img
special() {
	local kind=$2
	[ "$2" != s ] || kind=p
	printf 'cd %s\nmknod "%s" %s\n' $STATE "$1" "$kind"
	[ "$2" != s ] || printf 'sif "%s" mode 0140644\n' "$1"
}
# own_luks: data.img as the owner's LUKS1 disk with his own passphrase, which is in vault.key; nothing of ADE is in it
own_luks() {
	passphrase owner >vault.key
	fixture good-data.plain-whole plain
	for _ in 1 2 3 4 5; do
		qemu-img convert -f raw -O luks --object secret,id=k,file=vault.key -o key-secret=k,iter-time=10 plain.img data.img 2>/dev/null && break
	done
	printf '%s' "${LUKS_DATA_UUID%1}2" | dd of=data.img bs=1 seek=168 conv=notrunc status=none
	rm plain.img
	disk data.img
}
# ---- the initramfs of an image's /boot ----
# initrd_take IMAGE PARTNO PATH: its last part, unpacked, into main/; what is before it into early.tmp
initrd_take() {
	debugfs -R "dump $3 initrd.tmp" "$1?offset=$(part_offset "$1" "$2")" 2>/dev/null
	python3 - <<-'END'
	data = open("initrd.tmp", "rb").read()
	at = data.index(b"\x1f\x8b\x08")
	open("early.tmp", "wb").write(data[:at])
	open("main.tmp", "wb").write(data[at:])
	END
	mkdir main
	gzip -dc main.tmp | (cd main && cpio --quiet -idm)
	rm initrd.tmp main.tmp
}
# initrd_put IMAGE PARTNO PATH COMPRESSOR...: main/ becomes the last part
initrd_put() {
	find main -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
	mkdir -p "t$(dirname "$3")"
	(cd main && find . | sort | cpio --quiet --reproducible -o -H newc -R 0:0) | "${@:4}" | cat early.tmp - >"t$3"
	rm -r main early.tmp
	merge "$1" "$2"
}
