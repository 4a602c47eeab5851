#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# How the commands end, over a library that ends as $FAKE says: exit statuses,
# what goes to which stream, events, wrong uses, signals.
set -u
bin=$top_builddir/tests/tools
work=$(mktemp -d "${TMPDIR:-/tmp}/commands.XXXXXX") || exit 99
trap 'rm -rf "$work"' EXIT
unset BACKUP_CONFIG BACKUP_REPOSITORY BACKUP_PASSPHRASE
unset BACKUP_PASSPHRASE_FILE FAKE
cd "$work" || exit 99
number=0

# result STATUS NAME: one line of TAP.
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

# ends STATUS WHAT COMMAND...: the command's exit status, streams kept.
ends() {
	wanted=$1 what=$2 program=$3
	shift 3
	"$bin/fake-$program" "$@" >out 2>err </dev/null
	got=$?
	[ "$got" -eq "$wanted" ]
	result $? "$what: status $wanted (was $got)"
}

says() { grep -q -e "$2" "$1"; result $? "  and $1 says: $2"; }
lacks() { ! grep -q -e "$2" "$1"; result $? "  and $1 lacks: $2"; }
is_empty() { [ ! -s "$1" ]; result $? "  and $1 is empty"; }

# is_json FILE: every line is an object with one of the types.
is_json() {
	! grep -v -q -E '^\{"type":"(message|output|former|progress|omission|result|error|check|finding|step|snapshot|entry|decision|administrator|host|notification)",.*\}$' "$1"
	result $? "  and every line of $1 is an event"
}

# ---- how operations end ----
ends 0 "a whole backup" backup-create
says out '^snapshot  3f2a9c01'
says out '^state     complete$'
says err '^backup-create: backing up postgres/app$'
says err '^backup-create: warning: bucket/up: listing was slow%0Aand %1B'
ends 0 "a quiet one" backup-create --quiet
lacks err 'backing up'
says err 'warning'
export FAKE=degraded
ends 3 "a degraded backup" backup-create
says out '^state     degraded'
says err '^backup-create: left out: files/stack/x%FF: permission denied$'
ends 3 "a degraded restore" backup-restore latest
lacks out 'Yours to run'
ends 3 "a restore that leaves something" backup-restore latest postgres/app
says out "^    backup-restore .*3f2a[0-9a-f]* command/redis$"
says out "^        # gives command/redis/dump.rdb to 'sh'$"
says out "^        # gives command/search/rebuild.sh to 're%1Bbuild', which failed"
ends 3 "the same in JSON" backup-restore --json latest postgres/app
is_json out
says out '"run":\["backup-restore .* command/redis","backup-restore '
ends 3 "a degraded backup in JSON" backup-create --json
is_json out
says out '"type":"omission","path":"files/stack/x%FF"'
says out '"state":"degraded"'
is_empty err
export FAKE=fail
ends 1 "a failed backup" backup-create
is_empty out
says err '^backup-create: the server went away$'
ends 1 "a failed backup in JSON" backup-create --json
is_json out
says out '"type":"error","code":"io","text":"the server went away"'
lacks out '"type":"result"'
ends 1 "a failed restore" backup-restore latest
ends 1 "a failed verification" backup-verify
lacks out PROVEN
ends 1 "an entry with a wrong digest" backup-cat latest files/stack/a
ends 1 "a damaged snapshot" backup-list
ends 1 "a damaged entry list" backup-list latest
ends 1 "a repository that exists" backup-init --recipient age1x
unset FAKE

# ---- verdicts ----
ends 0 "a proven snapshot" backup-verify
says out '^PASS  postgres/app/shop/data/public.users: 1000 rows'
says out '^SKIP  command/redis'
says out '^PROVEN except command/redis: snapshot '
lacks out '^PROVEN:'
ends 0 "less than the whole" backup-verify --level quick
says out '^PROVEN IN PART except command/redis: snapshot '
ends 0 "a part of a snapshot" backup-verify latest postgres/app
says out '^PROVEN except command/redis: postgres/app of snapshot '
ends 0 "a part of what is in use" backup-verify --live latest postgres/app
says out '^PROVEN except .*: postgres/app in use, against snapshot '
ends 0 "what is in use" backup-verify --live
says out '^PROVEN except .*: what is in use, against snapshot '
ends 0 "the same of a proven one in JSON" backup-verify --json
says out '"level":"full","is_whole":true'
says out '"is_proven":true,"except":\["command/redis"\]'
export FAKE=bad
ends 1 "one check that failed" backup-verify latest
says out '^FAIL  bucket/up/a: content differs$'
says out '^NOT PROVEN: '
ends 1 "the same in JSON" backup-verify --json
is_json out
says out '"status":"fail","name":"bucket/up/a"'
says out '"is_proven":false'
FAKE=nothing
ends 1 "a verification that compared nothing" backup-verify
says out '^NOT PROVEN: '
unset FAKE

# ---- reports of a verdict ----
reports="--junit r.xml --json-report r.json --html r.html --prometheus r.prom"
stale() { for file in r.xml r.json r.html r.prom; do echo old >$file; done; }
ends_as() {
	for number_of in 0:r.xml 1:r.json 2:r.html 3:r.prom; do
		says "${number_of#*:}" "^report ${number_of%:*}: $1"
	done
}
stale
# shellcheck disable=SC2086 # options
ends 0 "all reports of a proven snapshot" backup-verify $reports
ends_as verdict
stale
# shellcheck disable=SC2086 # options
FAKE=bad ends 1 "all reports of one that is not" backup-verify $reports
ends_as verdict
stale
# shellcheck disable=SC2086 # options
FAKE=fail ends 1 "all reports without a verdict" backup-verify $reports
ends_as 'error: the server went away'
stale
# shellcheck disable=SC2086 # options
FAKE=no-file ends 1 "all reports without a configuration" \
	backup-verify $reports
ends_as 'error: there is no configuration'
stale
# shellcheck disable=SC2086 # options
ends 2 "all reports of a wrong use" backup-verify $reports latest a b
ends_as 'error: too many operands'
ends 0 "a report to standard output" backup-verify --junit -
says out '^report 0: verdict'
lacks out PASS
says err '^PROVEN except'
ends 2 "a report among events" backup-verify --junit - --json
is_json out
ends 2 "two reports in one file" backup-verify --junit same --html same
says err "two reports cannot both go to 'same'"
ends 1 "a report that cannot be written" \
	backup-verify --html no/such/folder.html --junit r.xml
says err 'the report cannot be written'
says r.xml '^report 0: error: the report cannot be written'
lacks out PROVEN

# ---- checks ----
ends 0 "a clean repository" backup-check
says out '^NOTE    3 packs$'
says out '^CLEAN$'
ends 0 "a quiet one" backup-check --quiet
lacks out NOTE
ends 0 "how much is to be read" backup-check --read-data=2.5% --max-age 2d \
	--budget 3K --json
is_json out
says out '"packs_read":25,"bytes_read":3072,"chunks_read":172800'
ends 0 "everything is to be read" backup-check --read-data --json
says out '"packs_read":1000,'
for wrong in --accept-loss --read-data=0 --read-data=101% --read-data=x --read-data=-5 \
	--max-age=30 --max-age=d --max-age=3x --max-age=-3d --budget=3K \
	"--read-data --budget=0K" "--read-data --budget=99999999999999999T"; do
	# shellcheck disable=SC2086 # two options
	ends 2 "a wrong option ($wrong)" backup-check $wrong
done
export FAKE=look
ends 3 "a repository to look at" backup-check
says out '^LOOK    there is no snapshot$'
FAKE=bad
ends 1 "a damaged repository" backup-check
says out '^DAMAGE  packs/3f/.*: it is not there$'
says out 'hurts snapshot 3f2a9c010000: bucket/up/a%1B$'
says out 'and 3 more'
says out '^DAMAGED: 1 finding'
says out '^REPAIR  packs/3f: taken out%0A$'
ends 1 "a repair that could not mend everything" backup-check --repair
says out '^DONE    packs/3f: taken out%0A$'
ends 1 "the same in JSON" backup-check --json
is_json out
says out '"hurt":\[{"snapshot":"3f2a.*","paths":\["bucket/up/a%1B","bucket/up/b"\]}\]'
says out '"type":"step","state":"planned","object":"packs/3f"'
says out '"state":"failed"'
FAKE=fail
ends 1 "a check that failed" backup-check
lacks out CLEAN
unset FAKE

# ---- doctor ----
ends 0 "all is well" backup-doctor
says out '^note     schedule               this machine$'
says out '^         > a timer$'
says out '^HEALTHY$'
lacks out versions
ends 0 "all is told" backup-doctor --all
says out '^ok       versions '
ends 0 "little is told" backup-doctor --quiet
lacks out schedule
FAKE=look ends 3 "a warning" backup-doctor
says out '^warning  last-backup            files/a%1B$'
says out '^NOTHING IS BROKEN'
FAKE=bad ends 1 "an error" backup-doctor
says out '^SOMETHING IS WRONG$'
FAKE=bad ends 1 "an error in JSON" backup-doctor --json
is_json out
says out '"id":"lock-table","status":"error","subject":"postgres/app"'
says out '"id":"versions","status":"ok"'
says out '"state":"failed","errors":1,"warnings":1,"notes":1'
FAKE=fail ends 1 "nothing could be looked at" backup-doctor
lacks out HEALTHY
FAKE=bad ends 0 "a bundle" backup-doctor --bundle bundle.zip
says bundle.zip '^as a zip$'
says err 'wrote bundle.zip'
says out '^SOMETHING IS WRONG$'
ends 1 "no second one in its place" backup-doctor --bundle bundle.zip
says bundle.zip '^as a zip$'
rm -f bundle.zip
FAKE=leak ends 1 "one that would not be clean" backup-doctor --bundle none.zip
says err 'password is in findings.json'
ends 0 "that left no file behind" backup-doctor --bundle none.zip
ends 0 "a bundle to look at" backup-doctor --show
says out '^as text$'
lacks out HEALTHY
ends 0 "a bundle into a pipe" backup-doctor --bundle -
says out '^as a zip$'
ends 2 "a log for nothing" backup-doctor --log x
ends 2 "a bundle among events" backup-doctor --json --show
ends 2 "two bundles" backup-doctor --bundle x --show

# ---- archives ----
ends 0 "an archive" backup-archive -o a.age -R age1x -R age1y latest
says out '^snapshot  3f2a9c01'
says out '^archive   a.age$'
says out '^entries   2$'
ends 0 "one in parts of 64 KiB" backup-archive -o a.age --split 64K --overwrite latest
says out '^archive   a.age (2 parts)$'
says out '^size      64.0 KiB'
ends 2 "parts that are too small" backup-archive -o a.age --split 1 latest
says err 'at least 64K'
ends 2 "parts of a backup that are too small" \
	backup-create --archive a.age -R age1x --split 65535
says err 'at least 64K'
ends 0 "one in JSON" backup-archive --json -o a.age latest postgres/app
is_json out
says out '"archive":"a.age"'
ends 0 "one on standard output" backup-archive -o - latest
is_empty out
says err '^archive   -$'
ends 0 "one taken in" backup-archive --import a.age
says out '^entries   5$'
ends 0 "a backup into one" backup-create --archive a.age -R age1x --split 1M
says out '^added     1.0 MiB'
ends 0 "a backup into standard output" backup-create --archive - -R age1x
is_empty out
ends 2 "an archive without a place" backup-archive latest
says err 'give --output'
ends 2 "an archive of nothing" backup-archive -o a.age
ends 2 "an archive of a path" backup-archive -o a.age files/stack
ends 2 "a size that is none" backup-archive -o a.age --split 4X latest
ends 2 "no size at all" backup-archive -o a.age --split 0 latest
ends 2 "too large a size" backup-archive -o a.age --split 99999999E latest
ends 2 "an import and an output" backup-archive --import a.age -o b.age
ends 2 "an import of a snapshot" backup-archive --import a.age latest
# several processes
ends 0 "a leader" backup-create --plan --run night --time-limit 6h t
ends 0 "a leader that finishes by itself" backup-create --plan --finish --run night
ends 0 "a share" backup-create --run night --share 2/4 --wait 90s
says out '^share     2/4 of run night: 24 tasks$'
says out '^known     2, done by an earlier run of it$'
ends 0 "a share in JSON" backup-create --run night --share 0/1 --json
says out '"known_tasks":2'
ends 0 "the end of a run" backup-create --run night --finish
says out '^state     complete$'
ends 2 "a run without a part in it" backup-create --run night
says err "give --plan, --share I/N or --finish"
ends 2 "a share of no run" backup-create --share 0/4
says err "give --run NAME"
for i in 4/4 0/0 1 /4 1/ 1/4x x/4 -1/4 00000/4; do
	ends 2 "a share that there is not: $i" backup-create --run a --share "$i"
done
ends 2 "a leader that takes a share" backup-create --run a --plan --share 0/4
ends 2 "a share of a source" backup-create --run a --share 0/4 postgres/app
for i in "--plan" "--share 0/4" "--finish"; do
	# shellcheck disable=SC2086 # words
	ends 2 "a name that no run has, of $i" backup-create --run ../x $i
done
says err "takes the name of a run"
ends 2 "a share with a limit" backup-create --run a --share 0/4 --time-limit 1h
ends 2 "a leader that waits" backup-create --run a --plan --wait 1h
ends 2 "a wait that is none" backup-create --run a --finish --wait soon
says err "not 'soon'"
ends 2 "an archive of several" backup-create --run a --plan --archive - -R age1x
ends 2 "a backup in parts without an archive" backup-create --split 4G
echo 'archive words' >archive-words
ends 2 "recipients and a passphrase" backup-archive -o a.age -R age1x \
	--archive-passphrase-file archive-words latest
ends 0 "a passphrase" backup-archive --json -o a.age \
	--archive-passphrase-file archive-words latest
says out '"stored_bytes":13'
lacks out 'archive words'
export FAKE=fail
ends 1 "an archive that failed" backup-archive -o a.age latest
is_empty out
ends 1 "an import that failed" backup-archive --import a.age
export FAKE=degraded
ends 3 "an archive that lacks something" backup-archive -o a.age latest
unset FAKE

# ---- import ----

ends 2 "an import of nothing" backup-import
ends 2 "context that is none" backup-import --with own export.zip
says err 'shared or actor'
ends 0 "an import" backup-import --json --with shared --with actor \
	--remap-keys --files-to bucket/a --files-to b=bucket/c \
	--export-passphrase-file archive-words export.zip
is_json out
says out '"rows":10,'
says out '"tables":13,'
says out '"existing":1,"rows_left":1,"remapped":1,"nulled":0,'
says out '"files":2,'
lacks out 'archive words'
ends 0 "an import of less" backup-import --json --null-missing --append \
	--fill a.b.c=1 --leave-out a.d export.zip
says out '"nulled":15,"unfollowed":0,'
ends 0 "a rehearsal" backup-import --dry-run export.zip
says err 'and rolled back'
export FAKE=fail
ends 1 "an import into the application that failed" backup-import export.zip
export FAKE=degraded
ends 3 "an import of what is partial" backup-import export.zip
unset FAKE

# ---- guard ----
ends 0 "a command that goes well" backup-guard -- true --quiet
says out '^state     the new one is kept$'
says out '^    backup-restore --swap latest postgres/app$'
ends 0 "the same without dashes before it" backup-guard ls --no-such-option
FAKE=bad ends 1 "one that was put back" backup-guard -- migrate
says out '^reason    migrate$'
FAKE=bad ends 1 "one that was put back by a role that may do little" \
	backup-guard --role r --no-owner --no-privileges --skip-refused -- migrate
says out '^state     put back, but for 4 things that the server refused, named above$'
FAKE=worse ends 4 "one that was not" backup-guard -- migrate
says out '^state     FAILED, and NOT everything is put back$'
FAKE=worse ends 4 "the same in JSON" backup-guard --json -- migrate
says out '"state":"broken".*"reason":"migrate"'
FAKE=fail ends 1 "one that was not begun" backup-guard -- migrate
ends 1 "one that had not been run" backup-guard --resume
ends 0 "one that is forgotten" backup-guard --forget
ends 2 "no command" backup-guard
ends 2 "a command that is resumed" backup-guard --resume -- migrate
ends 2 "both" backup-guard --resume --forget

# ---- jobs ----
ends 0 "a job" backup-run nightly
says out '^nightly: complete in 0:00$'
says out '^  before   sync  complete in 0:00$'
says out '^  backup   offsite  complete in 0:00: snapshot 3f2a9c010000, 2.0 KiB stored$'
says err "^backup-run: warning: before: sync: a hook's line$"
ends 0 "all jobs" backup-run
says out '^nightly: complete'
ends 0 "a quiet job" backup-run --quiet
is_empty out
ends 0 "a job in JSON" backup-run --json nightly
is_json out
says out '^{"type":"omission",.*"job":"nightly","step":"backup","repository":"offsite"}$'
says out '"type":"output","text":"no JSON","job":"nightly"'
says out '"type":"message","level":"warning",.*"job":"nightly"'
says out '"type":"step","name":"backup","repository":"offsite",.*"job":"nightly"'
says out '"type":"result","command":"backup-run","job":"nightly",.*"exit_status":0'
export FAKE=degraded
ends 3 "a degraded job" backup-run --quiet nightly
says out '^nightly: degraded in 0:00: backup: left out: files/etc/shadow$'
export FAKE=bad
ends 1 "a failed job" backup-run nightly nightly
says out '^nightly: failed in 0:00: backup: '
export FAKE=fail
ends 1 "a job that was not begun" backup-run --json nightly
is_json out
unset FAKE
ends 2 "a job that is not configured" backup-run nightly daily
is_empty out
ends 2 "a time that is none" backup-run --if-missed often
says err '^backup-run: --if-missed: that is no time$'
ends 0 "a time" backup-run --if-missed 24h --now
ends 3 "notifications, and one that cannot be tested" backup-run --notify-test
says out '^taken     mail of line 7$'
says out '^untested  ping of line 9: it tells%1B of good runs'
ends 3 "the same in JSON" backup-run --notify-test --json nightly
is_json out
says out '"kind":"mail","line":7,"state":"taken","error":null'
says out '"state":"degraded","taken":1,"failed":0,"untested":1'
FAKE=bad ends 1 "one that nobody gets" backup-run --notify-test nightly
says out '^failed    webhook of line 8: it answers with status 500$'
FAKE=fail ends 1 "none that is configured" backup-run --notify-test
ends 2 "a test of when to run" backup-run --notify-test --now
ends 2 "a job to test that is not configured" backup-run --notify-test daily

# ---- prune ----
ends 0 "a prune" backup-prune
says out '^goes   3f2a9c010000  20'
says out '^       last 0 hourly 0 daily 7 weekly 0 monthly 0 yearly 0 within 1d tags 1 of-the-file hosts 0 sources 0 grace - 000$'
lacks out '^stays'
says out '^snapshots  1 kept, 1 removed$'
says out '^freed      2.0 KiB in 2 packs$'
lacks out '^waiting'
ends 0 "a dry run with every option" backup-prune -n --keep-last 1 \
	--keep-hourly=2 --keep-daily 0 --keep-weekly 4 --keep-monthly 5 \
	--keep-yearly 6 --keep-within 2w --keep-tag a --keep-tag b --host h \
	--source s --source t --grace 0 --no-repack --acknowledge
says out 'last 1 hourly 2 daily 0 weekly 4 monthly 5 yearly 6 within 2w tags 2 a hosts 1 sources 2 grace 0 111$'
says out '^stays  3f2a9c010000'
says out 'kept: the newest of web%1B$'
says out 'removed (dry run: nothing was done)$'
says out '^would free 2.0 KiB in 2 packs, where nobody is at work$'
lacks out '^freed'
ends 0 "a dry run" backup-prune -n
says out '^would free 2.0 KiB in 2 packs, in a prune after the grace of 24h$'
ends 0 "a quiet prune" backup-prune --quiet
lacks out '^goes'
ends 0 "a prune in JSON" backup-prune --json
is_json out
says out '"type":"decision".*"is_kept":false'
says out '"removed":1,.*"waiting_for":null'
FAKE=later
export FAKE
ends 0 "a prune that waits" backup-prune
says out '^waiting    0 B in 3 packs, for the grace$'
FAKE=fail
ends 1 "a prune that fails" backup-prune
is_empty out
unset FAKE
for number_ in -1 x 100001 '' 1x; do
	ends 2 "to keep '$number_'" backup-prune --keep-daily="$number_"
done
for time_ in x 3 3q ''; do
	ends 2 "to keep within '$time_'" backup-prune --keep-within="$time_"
	ends 2 "a grace of '$time_'" backup-prune --grace="$time_"
done
ends 2 "a grace that says what it takes" backup-prune --grace 3q
says err '^backup-prune: --grace needs a time like 36h, 30d or 1y6m, not "3q"'
ends 2 "a prune of something" backup-prune latest

# ---- lists and bytes ----
ends 0 "snapshots" backup-list
says out '^NAME  *TIME  *HOST  *SOURCES  *SIZE  *ADDED  *STATE  *PROVEN  *TAGS$'
says out '^3f2a9c010  20..-.*web%1B\[2J1 .*degraded  failed [1-9][0-9]* days ago  *nightly$'
says out 'complete  [1-9][0-9]* days ago, in part'
ends 0 "snapshots at length" backup-list --long
says out '^    proven 20.* on ci%1B: partly restored, 1,234 passed, 0 failed, 1 skipped, in 1:02, restored in 1:01$'
ends 0 "snapshots in JSON" backup-list --json
is_json out
says out '"time":"2025-11-30T23:59:59.123456Z"'
says out '"proof":null}$'
says out '"how":"partly restored",.*"recovery_ms":61000,"bytes":null,"program":null}}$'
ends 0 "entries" backup-list latest
says out '^files.file  *12 B  0644 app:7  *20..-.*  files/stack/a%0Ab%%FF$'
says out '  files/stack/d -> a$'
ends 0 "entries in JSON" backup-list --json latest files
says out '"path":"files/stack/a%0Ab%25%FF"'
ends 0 "entries ended by NUL" backup-list --null latest
[ "$(tr '\0' '@' <out | od -An -c | tr -d ' \n')" = \
	'files/stack/a\nb%377@files/stack/d@' ]
result $? "  and the bytes are the path's own"
ends 1 "a prefix that nothing has" backup-list latest x
says err 'begins with "x"'
ends 0 "the bytes of an entry" backup-cat latest files/stack/a
[ "$(od -An -c out | tr -d ' \n')" = 'zero\0one\n' ]
result $? "  and nothing else"
ends 0 "the bytes of an entry, events apart" \
	backup-cat --json latest files/stack/a
is_json err
ends 0 "the bytes of a version" \
	backup-cat --version-id v1 latest bucket/up/a
ends 1 "a version that is not there" \
	backup-cat --version-id v2 latest bucket/up/a
says err 'no such version'
is_empty out
FAKE=empty
export FAKE
ends 0 "a repository without snapshots" backup-list
is_empty out
unset FAKE

FAKE=problem
export FAKE
ends 3 "a list where one is missing" backup-list
says out '^3f2a9c010 '
says err '^backup-list: snapshots/3f2a9c01.* is missing$'
says err '^backup-list: note: snapshots/3f2a9c01.* is there again$'
ends 3 "the same, quiet" backup-list --quiet
lacks err note
ends 3 "the same in JSON" backup-list --json
is_json out
says out '"level":"damage","kind":"snapshot-missing","object":"snapshots/3f2a'
says out '"state":"degraded"'
says out '"problems":1'
is_empty err
ends 3 "a backup where an earlier one is missing" backup-create
says out '^state     degraded: this snapshot is whole'
ends 3 "the same in JSON" backup-create --json
says out '"problems":1'
unset FAKE

# ---- wrong uses ----
for name in archive cat check create init key list prune restore verify; do
	ends 0 "backup-$name --help" "backup-$name" --help
	says out "^Usage: backup-$name "
	says out '^Examples:$'
	says out '^Exit status:$'
	is_empty err
	ends 0 "backup-$name --version" "backup-$name" -V
	says out "^backup-$name (libbackup) [0-9]"
	ends 2 "backup-$name with an unknown option" "backup-$name" --nonsense
	says err '^Try '
	is_empty out
	ends 2 "backup-$name with an unknown letter" "backup-$name" -Z
	says err 'there is no option -Z'
	ends 2 "backup-$name with a value too few" "backup-$name" --config
	says err '^backup-.*: --config needs a value (FILE)$'
	ends 2 "backup-$name with a value too much" "backup-$name" --quiet=1
	says err '^backup-.*: --quiet takes no value$'
	ends 2 "backup-$name with an empty value" "backup-$name" -r ''
done
# A mistake is an event wherever --json stands, and whatever comes first.
for name in archive cat check create init key list prune restore verify; do
	for order in "--json --bogus" "--bogus --json" "-Z --json" \
		"--quiet=1 --json" "--json --config"; do
		# shellcheck disable=SC2086 # two options
		ends 2 "backup-$name $order" "backup-$name" $order
		# Standard output of backup-cat is for bytes.
		[ "$name" != cat ] || mv err out
		is_json out
		says out '"type":"error","code":"usage"'
	done
done
ends 2 "no snapshot to restore" backup-restore
ends 2 "an empty snapshot" backup-restore ''
ends 2 "a path without a snapshot" backup-restore postgres/app
says err 'snapshot comes before the path'
ends 2 "two things about former databases" backup-restore --former \
	--drop-former x postgres/app
ends 2 "a snapshot of former databases" backup-restore --former latest \
	postgres/app
printf 'repository: /x\nsources: []\n' >former.yaml
ends 0 "former databases" backup-restore -c former.yaml --former postgres/app
says out '^former .*shop.before-20261121T100203Z$'
says out '^unfinished .*shop.restoring-1a2b3c4d$'
ends 0 "the same in JSON" backup-restore -c former.yaml --json --former \
	postgres/app
is_json out
says out '"type":"former","name":"shop.before-20261121T100203Z","state":"former"'
ends 0 "one put back" backup-restore -c former.yaml --put-back x postgres/app/x
export FAKE=fail
ends 1 "one not dropped" backup-restore -c former.yaml --drop-former x \
	postgres/app
unset FAKE
ends 2 "an empty path is not everything" backup-restore latest ''
ends 2 "three operands to restore" backup-restore latest a b
says err '"b"'
ends 2 "one operand to cat" backup-cat latest
ends 2 "an operand to init" backup-init place
ends 2 "three operands to list" backup-list latest a b
ends 2 "three operands to verify" backup-verify latest a b
ends 2 "an age that is none" backup-verify --max-age soon
says err "max_age: 'soon' is no time"
ends 2 "objects nowhere" backup-verify --objects nowhere
says err "bucket, folder or digest"
ends 2 "a server of what is compared in place" backup-verify --live --server ''
ends 2 "a budget for what is there" backup-verify --live --budget 1h
ends 2 "--live with a scratch directory" \
	backup-verify --live --scratch-directory /tmp
ends 2 "--null with --json" backup-list --null --json
for name in cat list restore verify; do
	ends 2 "backup-$name with a path and no snapshot" \
		"backup-$name" files/stack files/stack
	says err "latest files/stack"
done
for n in 0 -1 1.5 x 65 4096 99999999999999999999; do
	ends 2 "$n workers" backup-create --workers "$n"
done
ends 0 "8 workers" backup-create -j8

# ---- places and keys ----
FAKE=no-file
export FAKE
ends 1 "a backup without a configuration" backup-create -r /srv/backup
ends 1 "a list without any place" backup-list
ends 0 "a list with a repository alone" backup-list -r /srv/backup
BACKUP_REPOSITORY=/srv/backup
export BACKUP_REPOSITORY
ends 0 "a list with a repository in the environment" backup-list
unset BACKUP_REPOSITORY
ends 1 "a configuration that is named and missing" \
	backup-list -r /srv/backup -c missing.yaml
FAKE=file ends 0 "a job that is configured" backup-list --job nightly
FAKE=file ends 1 "a job that is not" backup-list --job daily
FAKE=file BACKUP_JOB=daily ends 1 "the same in the environment" backup-list
FAKE=file BACKUP_JOB=daily ends 0 "the command line wins" backup-list --job nightly
FAKE=no-place
ends 2 "a configuration without a repository" backup-list
says err 'no repository is named'
FAKE=passphrase
echo 'right words' >right
echo 'wrong words' >wrong
: >empty
printf 'two\nlines\n' >two
ends 0 "the right passphrase" backup-list --passphrase-file right
ends 1 "a wrong one" backup-list --passphrase-file wrong
lacks err 'wrong words'
ends 1 "an empty one" backup-list --passphrase-file empty
ends 1 "one of two lines" backup-list --passphrase-file two
ends 1 "one that is missing" backup-list --passphrase-file missing
says err 'missing: No such file'
unset FAKE

# ---- init ----
# ---- keys ----
ends 0 "the keys" backup-key show
says out '^administrator  age1fake.*  ops%1B$'
says out 'by passphrase'
says out '^host           db2  key 3f2a9c01.* 7 snapshots stay$'
says out '^keys           generation 2$'
says err 'two administrators'
says err 'roster/3f is damaged'
ends 0 "the keys in JSON" backup-key show --json
is_json out
says out '"type":"host".*"revoked":null\|"revoked":null.*"type":"host"'
says out '"generation":2'
ends 0 "a recipient to add" backup-key add age1x -i id
says out 'opens the repository now'
ends 0 "a passphrase to add" backup-key add --new-passphrase-file right -i id
ends 0 "an identity to add" backup-key add --new-identity added.txt -i id
ends 2 "two to add" backup-key add age1x --new-identity added2.txt -i id
ends 1 "nobody to add" backup-key add -i id
says err 'say who is to be added'
ends 0 "one to remove" backup-key remove ops -i id --json
says out '"recipient":"age1ops"'
ends 2 "nobody to remove" backup-key remove -i id
ends 0 "a host" backup-key host db2 -k db2.key -i id
ends 2 "a host without a file" backup-key host db2 -i id
says err 'key-file'
ends 0 "a host to revoke" backup-key revoke db2 -i id --json
says out '"believed":3'
ends 0 "a rotation" backup-key rotate -i id
ends 2 "a rotation of something" backup-key rotate db2 -i id
ends 2 "something unknown" backup-key turn -i id
ends 0 "a sheet" backup-key sheet sheet.txt -i id
says sheet.txt 'THE SHEET'
[ "$(stat -c %a sheet.txt)" = 600 ]
result $? "  and nobody else reads it"
ends 1 "a sheet where a file is" backup-key sheet sheet.txt -i id
ends 0 "a sheet for a printer" backup-key sheet - -i id
says out '^THE SHEET$'
lacks out 'Print'
ends 1 "a sheet among events" backup-key sheet - -i id --json
lacks out 'THE SHEET'
ends 0 "a sheet that was typed in" backup-key sheet --check sheet.txt
says out 'every line is right'
echo nonsense >typed
ends 1 "a sheet that was typed in wrongly" backup-key sheet --check typed
says err 'line 4 is wrong'
ends 2 "a sheet and nothing else" backup-key sheet -i id
ends 2 "where an identity goes, without a sheet" backup-key sheet x --to y
for action in show 'add age1x' 'remove x' 'host db2 -k k' 'revoke db2' rotate \
	'sheet new.txt'; do
	FAKE=fail
	export FAKE
	# shellcheck disable=SC2086
	ends 1 "$action that fails" backup-key $action -i id
	says err 'the store went away'
	unset FAKE
done

ends 2 "nobody who could open it" backup-init -r place -k host.key
says err "--recipient"
ends 0 "a recipient" backup-init -r place -k host.key --recipient age1x
says out '^recipient   age1x$'
says out '^Keep now:$'
ends 0 "a new identity" backup-init -r place -k k --new-identity id.txt
says out 'id.txt reads everything'
ends 1 "a new identity where one is" backup-init -r p -k k --new-identity id.txt
FAKE=fail
export FAKE
ends 1 "a place that is taken" backup-init -r p -k k --new-identity new.txt
[ ! -e new.txt ]
result $? "  and no identity is left that opens nothing"
unset FAKE
ends 0 "a passphrase" backup-init -r place -k k --passphrase-file right
lacks out 'right words'
says out 'The passphrase reads everything'

# ---- standard output that does not take it ----
if [ -w /dev/full ]; then
	for name in create verify list; do
		"$bin/fake-backup-$name" >/dev/full 2>err
		[ $? -eq 1 ] && grep -q 'writing standard output' err
		result $? "backup-$name on a full disk fails"
		"$bin/fake-backup-$name" --json >/dev/full 2>err
		[ $? -eq 1 ]
		result $? "backup-$name --json on a full disk fails"
	done
	"$bin/fake-backup-cat" latest a >/dev/full 2>err
	[ $? -eq 1 ]
	result $? "backup-cat on a full disk fails"
fi
"$bin/fake-backup-create" >&- 2>err
[ $? -eq 1 ]
result $? "a standard output that is closed is a failure"
mkfifo pipe
exec 8<>pipe 9>pipe
exec 8<&-
"$bin/fake-backup-create" >&9 2>err
[ $? -eq 1 ] && grep -q 'Broken pipe' err
result $? "a pipe that nobody reads is a failure, not a death"
for name in list cat; do
	"$bin/fake-backup-$name" latest a >&9 2>err
	[ $? -eq 1 ] && [ ! -s err ]
	result $? "backup-$name ends quietly where nobody reads any more"
done
exec 9>&-

# ---- signals ----
# The fake sends SIGUSR1 to this shell once it runs, which may be before the
# next line of it.
for sig in INT TERM HUP; do
	trap 'kill -$sig "$!"' USR1
	# A shell ignores SIGINT in what it puts into the background; env has
	# the default back.
	FAKE=wait env --default-signal="$sig" \
		"$bin/fake-backup-create" \
		>out 2>err &
	child=$!
	wait "$child"
	status=$?
	while [ "$status" -gt 128 ] && kill -0 "$child" 2>/dev/null; do
		wait "$child"
		status=$?
	done
	wait "$child" 2>/dev/null
	status=$?
	[ "$status" -eq 1 ] && grep -q 'stopped as asked' err
	result $? "SIG$sig asks the operation to stop (status $status)"
done

# stopped FAKE: waits for a command that signals end; its status in $status.
stopped() {
	FAKE=$1 env --default-signal=INT "$bin/fake-backup-create" \
		>out 2>err &
	child=$!
	wait "$child"
	status=$?
	while [ "$status" -gt 128 ] && kill -0 "$child" 2>/dev/null; do
		wait "$child"
		status=$?
	done
	wait "$child" 2>/dev/null
	status=$?
}

# As timeout(1) does it, which signals the command and then its group.
trap 'kill -TERM "$!"; kill -INT "$!"' USR1
stopped wait
[ "$status" -eq 1 ] && grep -q 'stopped as asked' err
result $? "two signals at once ask to stop once (status $status)"
trap 'kill -TERM "$!"; sleep 3; kill -TERM "$!"' USR1
stopped deaf
[ "$status" -eq 143 ] && grep -q 'once more to stop without' err
result $? "a later signal ends it at once (status $status)"
trap '' USR1
ended=0
for moment in 1 2 3; do
	FAKE=wait timeout 2 "$bin/fake-backup-create" >out 2>err
	grep -q 'stopped as asked' err && ended=$((ended + 1))
done
[ "$ended" -eq 3 ]
result $? "timeout lets it clean up ($ended of 3 times)"
trap - USR1
echo "1..$number"
