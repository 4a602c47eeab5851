# SPDX-License-Identifier: Apache-2.0
# A page a command, one for the configuration, one for the library.
dist_man_MANS += \
	man/backup-archive.1 \
	man/backup-cat.1 \
	man/backup-check.1 \
	man/backup-create.1 \
	man/backup-doctor.1 \
	man/backup-export.1 \
	man/backup-guard.1 \
	man/backup-import.1 \
	man/backup-init.1 \
	man/backup-key.1 \
	man/backup-list.1 \
	man/backup-prune.1 \
	man/backup-restore.1 \
	man/backup-run.1 \
	man/backup-verify.1 \
	man/backup.yaml.5 \
	man/libbackup.3

# what stands around a database
dist_man_MANS += man/libbackup-recipes.7

# the repository on disk
dist_man_MANS += man/libbackup-repository.5

# getting everything back without the project
dist_man_MANS += man/libbackup-recovery.7

# being told of backups
dist_man_MANS += man/libbackup-monitoring.7

# what an export of one subject holds
dist_man_MANS += man/backup-export-map.5

# what S3 servers can hold
dist_man_MANS += man/libbackup-s3.7

# backups that run by themselves
dist_man_MANS += man/libbackup-schedule.7

# what people read first, on the bad day, before they choose, and after years
dist_man_MANS += man/libbackup-comparison.7 \
	man/libbackup-runbook.7 \
	man/libbackup-tutorial.7 \
	man/libbackup-upgrade.7
