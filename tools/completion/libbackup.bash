# SPDX-License-Identifier: Apache-2.0
# Completion for the backup commands in bash (and in zsh by bashcompinit).
# Snapshots come from the repository and sources from the configuration that
# the line names; a repository that needs a passphrase is not asked.

# _backup_given: the options of the line that say where the repository is.
_backup_given()
{
	local i
	given=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-c | -r | -k | -i | --config | --job | --repository | --key-file | \
			--identity-file | --passphrase-file)
			given+=("${COMP_WORDS[i]}" "${COMP_WORDS[i + 1]}")
			;;
		esac
	done
}

_backup_names()
{
	local given
	_backup_given
	echo latest
	backup-list "${given[@]}" --null 2>/dev/null </dev/null |
		tr '\0' '\n' | cut -c 1-12
}

_backup_prefixes()
{
	local given
	_backup_given
	backup-list "${given[@]}" --json 2>/dev/null </dev/null | tail -n 2 |
		grep -o '"prefix":"[^"]*"' | cut -d '"' -f 4
}

# _backup_operand: how many operands stand before the word that is completed.
_backup_operand()
{
	local i count=0
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-[crkijtRoms] | --config | --job | --repository | --key-file | \
			--identity-file | --as-of | --passphrase-file | --workers | \
			--tag | --to | --recipient | --new-identity | \
			--label | --new-passphrase-file | --check | \
			--scratch-directory | --archive | --output | \
			--import | --archive-passphrase-file | --split | \
			--endpoint | --max-age | --if-missed | --budget | --run | --share | --wait | --time-limit | \
			--map | --erasure-map | --database | --snapshot | --table | --subject | \
			--format | --export-passphrase-file | --audit | \
			--junit | --json-report | --html | --prometheus | \
			--role | --only | --put-back | --drop-former | --for | --link | --with | --files-to | \
			--limit-* | \
			--timeout | --health | --health-* | --stop | --start | --journal | \
			--keep-* | --host | --source | --grace)
			((i++))
			;;
		-*) ;;
		*) ((count++)) ;;
		esac
	done
	echo "$count"
}

_backup_complete()
{
	local tool=${1##*/} word=$2 before=$3 options words=
	COMPREPLY=()
	case $tool in
	backup-archive) options='--output --import --recipient --archive-passphrase-file --split --endpoint --overwrite --config --job --repository --key-file --identity-file --passphrase-file --workers --limit-upload --limit-download --json --quiet --help --version' ;;
	backup-cat) options='--version-id --config --job --repository --key-file --identity-file --as-of --passphrase-file --workers --json --quiet --help --version' ;;
	backup-check) options='--read-data --max-age --budget --repair --accept-loss --config --job --repository --key-file --identity-file --passphrase-file --workers --limit-upload --limit-download --json --quiet --help --version' ;;
	backup-create) options='--tag --archive --recipient --archive-passphrase-file --split --endpoint --overwrite --scratch-directory --run --plan --share --finish --wait --time-limit --config --job --repository --key-file --identity-file --passphrase-file --workers --limit-upload --limit-download --json --quiet --help --version' ;;
	backup-doctor) options='--all --offline --write --scratch-directory --time-limit --bundle --show --log --config --job --repository --key-file --identity-file --passphrase-file --json --quiet --help --version' ;;
	backup-export) options='--map --source --database --snapshot --scratch-directory --erasure-map --table --subject --format --portability --csv --no-files --recipient --export-passphrase-file --no-encryption --split --endpoint --link --audit --for --overwrite --config --job --repository --key-file --identity-file --passphrase-file --workers --json --quiet --help --version' ;;
	backup-guard) options='--source --timeout --health --health-timeout --health-retries --health-interval --stop --start --delete-new --without-copy --no-restore --role --no-owner --no-privileges --skip-refused --allow-omissions --journal --resume --forget --config --job --repository --key-file --identity-file --passphrase-file --workers --limit-upload --limit-download --json --quiet --help --version' ;;
	backup-import) options='--source --database --with --remap-keys --null-missing --fill --leave-out --append --files-to --export-passphrase-file --dry-run --config --job --repository --key-file --identity-file --passphrase-file --json --quiet --help --version' ;;
	backup-init) options='--recipient --new-identity --like --like-key-file --config --job --repository --key-file --passphrase-file --json --quiet --help --version' ;;
	backup-key) options='--label --new-identity --new-passphrase-file --may-prune --check --to --config --job --repository --key-file --identity-file --passphrase-file --json --quiet --help --version' ;;
	backup-list) options='--long --null --config --job --repository --key-file --identity-file --as-of --passphrase-file --workers --json --quiet --help --version' ;;
	backup-prune) options='--dry-run --keep-last --keep-hourly --keep-daily --keep-weekly --keep-monthly --keep-yearly --keep-within --keep-tag --host --source --grace --no-repack --acknowledge --config --job --repository --key-file --identity-file --passphrase-file --workers --limit-upload --limit-download --json --quiet --help --version' ;;
	backup-restore) options='--to --overwrite --delete --all-versions --locks --swap --only --schema-only --role --no-owner --no-privileges --skip-refused --former --put-back --drop-former --map --without-erasures --config --job --repository --key-file --identity-file --as-of --passphrase-file --workers --limit-upload --limit-download --json --quiet --help --version' ;;
	backup-run) options='--if-missed --now --notify-test --config --job --repository --key-file --identity-file --passphrase-file --workers --json --quiet --help --version' ;;
	backup-verify) options='--live --scratch-directory --server --allow-source-server --objects --map --without-erasures --level --budget --max-age --max-drop --max-recovery --junit --json-report --html --prometheus --config --job --repository --key-file --identity-file --as-of --passphrase-file --workers --limit-upload --limit-download --json --quiet --help --version' ;;
	*) return ;;
	esac
	case $before in
	-c | -k | -i | -m | -o | -r | --map | --erasure-map | --audit | \
		--export-passphrase-file | --config | --key-file | --identity-file | \
		--passphrase-file | --new-passphrase-file | --check | \
		--new-identity | --to | --output | \
		--junit | --json-report | --html | --prometheus | \
		--archive | --import | --archive-passphrase-file | --journal | --repository)
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		compopt -o filenames 2>/dev/null
		return
		;;
	--source)
		mapfile -t COMPREPLY < <(compgen -W "$(_backup_prefixes)" -- "$word")
		return
		;;
	--snapshot)
		mapfile -t COMPREPLY < <(compgen -W "$(_backup_names)" -- "$word")
		return
		;;
	--scratch-directory)
		mapfile -t COMPREPLY < <(compgen -d -- "$word")
		compopt -o filenames 2>/dev/null
		return
		;;
	--format)
		mapfile -t COMPREPLY < <(compgen -W 'folder zip tar.zst' -- "$word")
		return
		;;
	-j | -R | -s | --role | --only | --put-back | --drop-former | --subject | --job | --link | --time-limit | --database | --table | --for | --workers | --recipient | --label | --tag | --split | --endpoint | --max-age | --if-missed | \
		--budget | \
		--limit-* | \
		--timeout | --health | --health-* | --stop | --start | \
		--keep-* | --host | --grace | --fill | --leave-out) return ;;
	esac
	case $tool:$word:$(_backup_operand) in
	*:-*) words=$options ;;
	backup-key:*:0) words='show add remove host revoke rotate sheet' ;;
	backup-export:*:0) words='plan check run explain forget audit' ;;
	backup-export:*) ;;
	backup-guard:*:0)
		mapfile -t COMPREPLY < <(compgen -c -- "$word")
		return
		;;
	backup-guard:* | backup-import:*)
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		compopt -o filenames 2>/dev/null
		return
		;;
	backup-prune:* | backup-init:* | backup-check:* | backup-doctor:* | backup-key:*) ;;
	backup-create:*) words=$(_backup_prefixes) ;;
	backup-run:*) ;;
	*:0) words=$(_backup_names) ;;
	*:1) words=$(_backup_prefixes) ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}

complete -F _backup_complete backup-archive backup-cat backup-check \
	backup-create backup-doctor backup-export backup-guard backup-import backup-init backup-key \
	backup-list backup-prune \
	backup-restore backup-run backup-verify
