#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The commands as somebody uses them for the first time: a folder and the
# output of a program, into a repository in a folder; every wrong use leaves
# everything as it was.
set -u
bin=$top_builddir/tools
work=$(mktemp -d "${TMPDIR:-/tmp}/first-use.XXXXXX") || exit 99
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
unset BACKUP_CONFIG BACKUP_REPOSITORY BACKUP_PASSPHRASE
unset BACKUP_PASSPHRASE_FILE XDG_CONFIG_HOME
HOME=$work
export HOME
cd "$work" || exit 99
number=0

result() {
	number=$((number + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $number - $2"
	else
		echo "not ok $number - $2"
		sed 's/^/# out: /' out
		sed 's/^/# err: /' err
	fi
}

# ends STATUS WHAT COMMAND...
ends() {
	wanted=$1 what=$2 program=$3
	shift 3
	"$bin/$program" "$@" >out 2>err </dev/null
	got=$?
	[ "$got" -eq "$wanted" ]
	result $? "$what: status $wanted (was $got)"
}

says() { grep -q -e "$2" "$1"; result $? "  and $1 says: $2"; }

# state_of: what is in the repository and in the data, by content.
state_of() {
	find repository data -type f -exec sha256sum {} + | sort
}

mkdir -p data/sub
echo hello >data/a
head -c 300000 /dev/urandom >data/large
printf x >data/sub/"$(printf 'a\nb')"
ln -s a data/link
cat >backup.yaml <<END
repository: repository
key_file: host.key
sources:
  - files: stack
    paths: [data]
  - command: greeting
    run: [echo, good morning]
    output: text
END
stack=files/stack$work/data

# ---- the way it is meant ----
ends 1 "a backup before there is a repository" backup-create
ends 0 "a new repository" backup-init --new-identity identity
ends 0 "a list of nothing" backup-list
says err 'no snapshot yet'
ends 1 "a restore of nothing" backup-restore -i identity latest
ends 1 "a proof of nothing" backup-verify -i identity
ends 0 "a backup" backup-create --tag first
says out '^state     complete$'
ends 0 "another one" backup-create --json
says out '"new_chunks":0,'
ends 0 "the list of both" backup-list --json
says out '"snapshots":2,"problems":0}$'
ends 0 "the entries of one" backup-list latest "$stack/sub"
says out 'a%0Ab$'
ends 0 "the bytes of one" backup-cat -i identity latest command/greeting/text
says out '^good morning$'
ends 0 "a proof" backup-verify -i identity
says out '^PROVEN except command/greeting: '
ends 0 "a restore elsewhere" backup-restore -i identity --to there latest \
	files/stack
diff -r data "there$work/data" >out 2>err
result $? "  and it is the same"
echo changed >data/a
ends 1 "a proof of what has changed since" backup-verify --live -i identity
says out '^FAIL  files/stack/.*/data/a'
ends 0 "a restore of one file" \
	backup-restore -i identity --overwrite latest "$stack/a"
says out '^entries   1$'
grep -q hello data/a
result $? "  and it is back"
ends 0 "a restore in place" \
	backup-restore -i identity --overwrite latest files/stack
ends 0 "a proof of the place" \
	backup-verify --live -i identity latest files/stack

# ---- an empty machine: a repository and a key ----
mkdir -p elsewhere
mv backup.yaml elsewhere/
ends 0 "a list without a configuration" \
	backup-list -r repository -k host.key
ends 0 "a proof without one" backup-verify -r repository -i identity
ends 0 "a restore of files without one" backup-restore -r repository \
	-i identity --to again latest files/stack
ends 1 "a restore to a place that nobody named" \
	backup-restore -r repository -i identity latest files/stack
says err 'files: stack'
ends 1 "a list without a key" backup-list -r repository
mv elsewhere/backup.yaml .

# ---- wrong uses ----
state_of >before
ends 1 "a source that is misspelt" backup-create files/stak
says err "'files/stak'"
ends 1 "a repository twice" backup-init --new-identity other -k other.key
[ ! -e other ] && [ ! -e other.key ]
result $? "  and no key is left that opens nothing"
ends 1 "a repository in a folder with something in it" \
	backup-init -r data -k other.key --new-identity other
ends 1 "a recipient that is none" \
	backup-init -r new -k other.key --recipient age1nonsense
ends 1 "a snapshot that is not there" backup-restore -i identity abcdef
ends 1 "a snapshot name that is too short" backup-restore -i identity ab
ends 1 "a path that is not there" \
	backup-restore -i identity --to x latest files/stack/none
says err "nothing at 'files/stack/none'"
ends 1 "a source that is not there" backup-restore -i identity latest bucket/x
ends 1 "a path that is not there, to be proven" \
	backup-verify -i identity latest files/stack/none
ends 1 "one place for two sources" backup-restore -i identity --to x latest
ends 1 "a file in the way" backup-restore -i identity latest files/stack
says err '[-]-overwrite'
ends 1 "a folder's bytes" backup-cat -i identity latest "$stack"
ends 1 "an entry that is not there" backup-cat -i identity latest "$stack/none"
ends 1 "contents with the host key" backup-cat latest command/greeting/text
says err 'identity'
[ ! -s out ]
result $? "  and not one byte came out"
ends 1 "a restore with the host key" backup-restore --to x latest files/stack
ends 1 "a key that is none" backup-create -k backup.yaml
ends 1 "a key that is not there" backup-create -k none.key
ends 1 "an identity that is none" backup-list -i backup.yaml
ends 1 "a configuration that is not there" backup-create -c none.yaml
ends 1 "a repository that is not there" backup-list -r none
ends 1 "a folder that is no repository" backup-list -r data
printf 'repositry: x\n' >bad.yaml
ends 1 "a misspelt key" backup-list -c bad.yaml
says err "bad.yaml:1: unknown key 'repositry'; did you mean 'repository'?"
state_of | diff before - >out 2>err
result $? "nothing of all that changed the repository or the data"

# ---- the host key of another repository ----
ends 0 "another repository" backup-init -r second -k second.key \
	--new-identity second.identity
ends 1 "the key of another repository" backup-create -k second.key
ends 1 "the identity of another repository" \
	backup-cat -i second.identity latest command/greeting/text

# ---- one like another ----
ends 0 "a repository like another one" backup-init -r alike -k alike.key \
	--like "$PWD/second" --like-key-file second.key \
	--new-identity alike.identity
says out '^like  *.*/second$'
ends 1 "  has keys of its own" backup-create -r alike -k second.key
says err 'belongs to repository'
ends 0 "  and takes backups" backup-create -r alike -k alike.key
ends 1 "one like another that the keys do not open" backup-init -r third \
	-k third.key --like second --new-identity third.identity
[ ! -e third ] && [ ! -e third.key ] && [ ! -e third.identity ]
result $? "  and nothing was made"
ends 2 "a key of another that is not named" backup-init -r third -k third.key \
	--like-key-file second.key --new-identity third.identity

# ---- one by its name in a configuration ----
cat >named.yaml <<END
repositories:
  local: {location: named-local, key_file: named-local.key}
  offsite: {location: named-offsite, key_file: named-offsite.key}
jobs:
  weekly: {repositories: [offsite]}
sources:
  - files: stack
    paths: [data]
END
BACKUP_CONFIG=named.yaml ends 0 "a repository by its name, with a key file" \
	backup-init -r offsite -k own.key --new-identity named.identity
[ ! -e offsite ] && [ -e named-offsite/config ] && [ -e own.key ]
result $? "  is where the configuration says"
rm -r named-offsite
ends 0 "the one of a job" backup-init -c named.yaml --job weekly \
	--new-identity job.identity
[ ! -e named-local ] && [ -e named-offsite/config ]
result $? "  is that one"
BACKUP_CONFIG=bad.yaml ends 1 "with a configuration that is wrong" \
	backup-init -r fourth -k fourth.key --new-identity fourth.identity
says err "unknown key 'repositry'"
[ ! -e fourth ] && [ ! -e fourth.key ] && [ ! -e fourth.identity ]
result $? "  nothing was made"
BACKUP_CONFIG=later.yaml ends 0 "with one that is not written yet" \
	backup-init -r fourth -k fourth.key --new-identity fourth.identity
BACKUP_CONFIG=later.yaml ends 1 "  and that something is needed of" \
	backup-init -r fifth --new-identity fifth.identity

# ---- a program that fails, a file that cannot be read ----
sed 's/echo, good morning/"false"/' backup.yaml >fails.yaml
ends 1 "a command that fails" backup-create -c fails.yaml command/greeting
ends 0 "  and there is no new snapshot" backup-list --json
says out '"snapshots":2,"problems":0}$'
if [ "$(id -u)" -ne 0 ]; then
	chmod 0 data/large
	ends 3 "a file that cannot be read" backup-create
	says err '^backup-create: left out: .*/data/large'
	chmod 644 data/large
fi

# ---- damage ----
pack=$(find repository -type f -size +100k | head -n 1)
chmod u+w "$pack"
printf X | dd of="$pack" bs=1 seek=200000 conv=notrunc 2>/dev/null
ends 1 "a flipped byte is not proven" backup-verify -i identity
lacks_proof() { ! grep -q '^PROVEN' out; }
lacks_proof
result $? "  and is not said to be"
ends 3 "a flipped byte is not restored, the rest is" \
	backup-restore -i identity --to damaged latest files/stack
says err '^backup-restore: left out: .*/data/large'
lacks_large() { [ -z "$(find damaged -name large)" ]; }
lacks_large
result $? "  and half a file is not there"
echo "1..$number"
